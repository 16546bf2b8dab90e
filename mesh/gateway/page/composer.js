// Where one writes. What is typed is kept in this browser until the gateway has taken it.

import { h, icon } from "./dom.js";
import { keep, kept } from "./keep.js";

const PAUSE = 300; // milliseconds of not typing after which a draft is kept
const GROWS = CSS.supports("field-sizing", "content");

export class Composer {
  #chat = null;
  #timer = 0;
  #editing = null;

  /** on: send(text, edited message or null), stop(). */
  constructor(on, tools) {
    this.on = on;
    this.input = h("textarea", { rows: "1", placeholder: "Ask anything", "aria-label": "Your message", enterkeyhint: "send", oninput: () => this.#typed(), onkeydown: (event) => this.#key(event) });
    this.button = h("button", { type: "submit", class: "send" });
    this.trouble = h("div", { class: "trouble", role: "alert", hidden: true });
    this.editing = h("div", { class: "editing", hidden: true }, h("span", {}, "You are editing an earlier question."), h("button", { type: "button", class: "quiet", onclick: () => this.leaveEdit() }, "Leave it as it was"));
    this.element = h("form", { class: "composer", onsubmit: (event) => this.#submit(event) }, this.trouble, this.editing,
      h("div", { class: "box" }, this.input, h("div", { class: "tools" }, tools, this.button)));
    addEventListener("pagehide", () => this.#keep());
    this.state("ready");
  }

  /** ready, sending or answering. */
  state(state) {
    this.now = state;
    const stops = state !== "ready";
    this.button.replaceChildren(icon(stops ? "stop" : "send"));
    this.button.setAttribute("aria-label", stops ? "Stop" : "Send");
    this.button.title = stops ? "Stop (Escape)" : "Send (Enter; Shift-Enter for a new line)";
    this.input.readOnly = state === "sending";
    this.element.dataset.state = state;
    this.#usable();
  }

  /** Show the draft of a chat. */
  open(chatId) {
    this.close();
    this.#editing = null;
    this.editing.hidden = true;
    this.#chat = chatId ?? "new";
    this.#put(kept(`draft.${this.#chat}`) ?? "");
    this.complain(null);
  }

  /** What is typed is of no chat any more. */
  close() {
    this.#keep();
    this.#chat = null;
  }

  /** What was typed belongs to this chat from now on: it was new. */
  rename(chatId) {
    const text = this.input.value;
    keep(`draft.${this.#chat}`, null);
    this.#chat = chatId;
    keep(`draft.${chatId}`, text);
  }

  /** This text was taken: forget it. What is written here besides stays. */
  taken(text) {
    if (this.input.value !== text) return;
    if (this.#editing) return this.#endEdit();
    this.#put("");
    this.#keep();
  }

  /** Word anew what was asked before; the draft comes back afterwards. */
  edit(message, text = message.content) {
    this.#keep();
    this.#editing = message;
    this.editing.hidden = false;
    this.#put(text);
    this.input.focus();
  }

  /** Go on with an edit that was left half-way, if `find(id)` still has its question. */
  takeUp(find) {
    const { id, text } = kept(`edit.${this.#chat}`) ?? {};
    if (id && find(id)) this.edit(find(id), text);
  }

  leaveEdit() {
    this.#endEdit();
    this.complain(null);
    this.input.focus();
  }

  #endEdit() {
    keep(`edit.${this.#chat}`, null);
    this.#editing = null;
    this.editing.hidden = true;
    this.#put(kept(`draft.${this.#chat}`) ?? "");
  }

  /** Send what is written here now, unless an answer is being written. */
  submit() {
    if (this.now === "ready") this.element.requestSubmit();
  }

  /** Say what went wrong, where it was typed; null: nothing any more. */
  complain(sentence, again = null) {
    this.trouble.hidden = !sentence;
    this.trouble.replaceChildren(...(sentence ? [h("span", {}, sentence), again && h("button", { type: "button", onclick: again }, "Try again")].filter(Boolean) : []));
  }

  #put(text) {
    this.input.value = text;
    this.#fit();
    this.#usable();
  }

  #typed() {
    this.#fit();
    this.#usable();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#keep(), PAUSE);
  }

  #keep() {
    clearTimeout(this.#timer);
    if (!this.#chat) return;
    const text = this.input.value;
    if (this.#editing) keep(`edit.${this.#chat}`, text === this.#editing.content ? null : { id: this.#editing.id, text });
    else keep(`draft.${this.#chat}`, text || null);
  }

  #usable() {
    this.button.disabled = this.now === "ready" && !this.input.value.trim();
  }

  #fit() {
    if (GROWS) return;
    this.input.style.height = "auto";
    this.input.style.height = `${this.input.scrollHeight}px`;
  }

  #key(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && matchMedia("(hover: hover)").matches) {
      event.preventDefault();
      this.submit();
    } else if (event.key === "Escape" && this.#editing) this.leaveEdit();
  }

  #submit(event) {
    event.preventDefault();
    if (this.now !== "ready") return this.on.stop();
    const text = this.input.value;
    if (!text.trim()) return;
    this.#keep();
    this.on.send(text, this.#editing);
  }
}
