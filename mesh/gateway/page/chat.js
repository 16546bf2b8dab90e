// One chat: shows its branch, asks, follows the answer, goes from branch to branch.

import { get, post, put, Unreachable } from "./api.js";
import { Composer } from "./composer.js";
import { h, say } from "./dom.js";
import { follow, unfinished } from "./follow.js";
import { count } from "./format.js";
import { best, prefer, report, vote } from "./judging.js";
import { Log } from "./log.js";
import { Answer, outcome, question } from "./message.js";
import { about, answerOptions, Choice, keepOptions, optionsOf } from "./options.js";
import { Once, persist } from "./persist.js";
import { greeting, notShown } from "./placeholders.js";
import { Tree } from "./tree.js";

const tabs = new BroadcastChannel("mesh.chats");

export class Chat {
  #tree = new Tree();
  #views = new Map();
  #following = null;
  #followed = null;
  #sending = null;
  #once = new Once();
  #attempts = 0;

  /** on: created(chat), changed(). */
  constructor(on) {
    this.on = on;
    this.id = null;
    this.choice = new Choice();
    this.composer = new Composer({ send: (text, edited) => this.#send(text, edited), stop: () => this.#stop() }, this.choice.elements);
    this.log = new Log();
    this.element = h("main", { class: "chat", id: "main", tabindex: "-1", onkeydown: (event) => event.key === "Escape" && this.composer.now === "answering" && this.#stop() }, this.log.element, this.composer.element);
    tabs.onmessage = ({ data }) => data === this.id && !this.#sending && this.#refresh();
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.#comeBack());
    this.messages = { siblings: (id) => this.#tree.siblings(id), show: (id) => this.#show(id), edit: (message) => this.composer.edit(message), retry: (message) => this.#again(message), vote: (answer, score) => this.#judge(answer, () => vote(this.id, answer, score)), best: (message) => best(message, this.#tree), prefer: (answer) => this.#judge(answer, () => prefer(this.id, answer, this.#tree)), report: (answer) => this.#judge(answer, () => report(this.id, answer)), goOn: () => this.#goOn(), grew: () => this.log.stick() };
  }

  // --- opening ---

  /** Show a chat, or an empty page for a new one. */
  async open(id) {
    this.close();
    this.id = id;
    this.chat = null;
    this.#tree = new Tree();
    this.#views.clear();
    this.composer.open(id);
    this.composer.state("ready");
    this.log.greet(id ? "" : greeting());
    this.choice.open(id);
    if (id) await this.#refresh();
    if (id === this.id) this.composer.takeUp((asked) => this.#tree.get(asked));
    if (matchMedia("(hover: hover)").matches) this.composer.input.focus();
  }

  /** Stop following; what is being written goes on without us. */
  close() {
    this.#following?.abort();
    this.#following = this.#followed = null;
    this.#sending?.abort();
    this.#sending = null;
    this.stopped = "";
    this.composer.close();
  }

  /** Somebody looks here again, and may have gone on elsewhere. */
  #comeBack() {
    if (this.id && this.element.isConnected && !this.#following && !this.#sending) this.#refresh(() => {});
  }

  async #refresh(fail = (error, id) => this.log.greet(notShown(error, () => this.open(id)))) {
    const id = this.id, attempts = this.#attempts;
    try {
      const chat = await get(`/chats/${id}`);
      if (id !== this.id || attempts !== this.#attempts) return; // what was asked meanwhile is not in it
      this.chat = chat;
      this.#tree = new Tree(chat.messages, chat.active_thread_tail_message_id);
      this.#render();
    } catch (error) {
      if (id === this.id) fail(error, id);
    }
  }

  // --- showing ---

  #render() {
    const path = this.#tree.path();
    this.log.show(path, ({ id }) => `${id} ${this.#tree.siblings(id).length}`, (message) => this.#view(message));
    const last = path.at(-1);
    if (last?.role !== "assistant" || !unfinished(last)) this.#unfollow();
    else if (this.#followed !== this.#views.get(last.id)) this.#follow(last);
  }

  #view(message) {
    if (message.role === "prompter") return question(message, this.messages);
    const view = new Answer(message, this.messages);
    this.#views.set(message.id, view);
    return view.element;
  }

  #show(id) {
    this.#tree.show(id);
    this.#render();
    this.#remember(this.#tree.tail);
  }

  #remember(tail) {
    put(`/chats/${this.id}`, { active_thread_tail_message_id: tail }).catch(() => {}); // a convenience for the next visit
  }

  // --- following ---

  #unfollow() {
    this.#following?.abort();
    this.#following = this.#followed = null;
    this.composer.state("ready");
  }

  async #follow(message) {
    this.#following?.abort();
    const control = (this.#following = new AbortController());
    const view = (this.#followed = this.#views.get(message.id));
    this.composer.state("answering");
    const on = {
      pending: (position, size) => view.waits(position, size),
      piece: (text) => view.piece(text),
      lost: (sentence) => view.lost(sentence),
      back: () => view.back(),
      end: (ended) => this.#ended(view, ended),
    };
    try {
      await follow(this.id, message.id, on, control.signal);
    } catch (error) {
      if (!control.signal.aborted) this.#ended(view, { ...message, state: "aborted_by_worker", content: view.text, error: error.message });
    }
  }

  #ended(view, message) {
    this.#tree.add(message);
    view.end(message, this.stopped);
    this.stopped = "";
    this.#unfollow();
    this.log.stick();
    say(outcome(message));
    this.#title();
  }

  async #stop() {
    this.#sending?.abort(); // also of other drafts, while the first answer is being read
    const view = this.#views.get(this.#tree.tail);
    if (!view || !this.#following) return;
    view.stopping();
    const begun = performance.now();
    try {
      const { tokens, cancelled } = await post(`/chats/${this.id}/messages/${view.message.id}/cancel`);
      const note = cancelled ? `Stopped after ${count(tokens, "token")} (freed in ${Math.round(performance.now() - begun)} ms).` : "";
      if (view.element.classList.contains("running")) this.stopped = note;
      else if (note && view.message.state === "cancelled") view.end(view.message, note);
    } catch (error) {
      this.composer.complain(`The answer could not be stopped: ${error.message}`, () => (this.composer.complain(null), this.#stop()));
    }
  }

  // --- asking ---

  #goOn() {
    this.#send("Go on.", null, () => this.#goOn());
  }

  async #send(text, edited, again = () => this.composer.submit()) {
    if (this.composer.now !== "ready" || !(await this.#there(again))) return;
    const parent = edited ? null : this.#tree.tail;
    if (parent && this.#tree.get(parent).role === "prompter") return this.#again({ parent_id: parent });
    await this.#attempt(async (signal) => {
      const place = edited ? { beside: edited.id } : { parent_id: parent };
      const body = { content: text, ...place, ...answerOptions(this.id) };
      const { prompter_message: asked, assistant_message: answer } = await this.#begin("messages", body, signal);
      this.composer.taken(text);
      this.#tree.add(asked);
      this.#began(answer);
      if (!this.chat?.title) this.on.changed();
      await this.#drafts(asked.id, signal);
    }, again);
  }

  /** Whether the chat has been read, and can be gone on with: one may type before that. */
  async #there(again) {
    const id = this.id;
    if (!id || this.chat) return true;
    this.composer.state("sending");
    await this.#refresh((error) => this.composer.complain(error.message, again));
    if (id === this.id && !this.chat) this.composer.state("ready");
    return id === this.id && this.chat !== null && this.composer.now === "ready";
  }

  #again(message) {
    const parent = message.parent_id;
    return this.#attempt((signal) => this.#reanswer(parent, signal), () => this.#again(message));
  }

  async #reanswer(parent, signal) {
    this.#began(await this.#begin("assistant_message", { parent_id: parent, ...answerOptions(this.id) }, signal));
  }

  /** More answers to the same question, where drafts were asked for. */
  async #drafts(parent, signal) {
    const id = this.id, n = (optionsOf(id).drafts ?? 1) - 1;
    if (n < 1) return;
    try {
      const { drafts } = await this.#begin("drafts", { parent_id: parent, n, ...answerOptions(id) }, signal);
      if (id !== this.id) return;
      drafts.forEach((draft) => this.#tree.add(draft));
      this.#views.get(this.#tree.tail)?.refresh();
    } catch (error) {
      if (signal.aborted) throw error;
      this.composer.complain(`The other drafts were not begun: ${error.message}`); // the question was taken
    }
  }

  #began(answer) {
    this.#tree.add(answer);
    this.#tree.show(answer.id);
    this.#render();
    this.log.toEnd();
    this.#remember(answer.id);
    say("Asked.");
  }

  /** Do what begins an answer; what goes wrong is said where one writes, and nothing is lost. */
  async #attempt(act, again) {
    const control = (this.#sending = new AbortController());
    this.#attempts++;
    this.composer.complain(null);
    this.composer.state("sending");
    try {
      await act(control.signal);
      tabs.postMessage(this.id);
    } catch (error) {
      if (control === this.#sending) {
        this.composer.state(this.#following ? "answering" : "ready");
        if (!control.signal.aborted) this.composer.complain(this.#told(error), again);
      }
    }
    if (control === this.#sending) this.#sending = null;
  }

  /** What went wrong, and what to do here. The list of models is read anew where it is about one. */
  #told(error) {
    const { code, message } = error;
    const { model } = optionsOf(this.id), unknown = code === "model_not_found";
    if (unknown || code === "no_worker") this.choice.open(this.id);
    if (unknown) return `There is no ${model ? `model “${model}”` : "model that answers where none is chosen"}: choose one below.`;
    if (code === "no_worker" && model) return `${message} Or choose another model below.`;
    return error instanceof Unreachable ? `${message} What you wrote is kept here.` : message;
  }

  /** Begin an answer once, however often it has to be sent; a new chat is made for it first. */
  #begin(route, body, signal) {
    const send = async () => {
      if (!this.id) await this.#create(signal);
      return this.#once.post(`/chats/${this.id}/${route}`, body, signal);
    };
    return persist(send, (sentence) => this.composer.complain(sentence), signal);
  }

  /** Do what concerns an answer, and show it as it is then. */
  async #judge(answer, act) {
    try {
      await act();
      this.#tree.add(answer.message);
      answer.refresh();
    } catch (error) {
      this.composer.complain(`This was not kept: ${error.message}`);
    }
  }

  async #create(signal) {
    this.chat = await post("/chats", {}, { signal });
    this.id = this.chat.id;
    keepOptions(this.id, optionsOf(null));
    this.choice.chatId = this.id;
    this.composer.rename(this.id);
    this.on.created(this.chat);
  }

  /** Let the model name a chat after its first answer. */
  async #title() {
    const messages = this.#tree.path();
    if (messages.length !== 2 || messages[1].state !== "complete") return this.on.changed();
    const id = this.id;
    if (about().titles && this.#tree.siblings(messages[1].id).length === 1) await post(`/chats/${id}/title`).catch(() => {});
    this.on.changed();
  }
}
