// One message as it is seen: what a person wrote, or an answer with its state, figures and buttons.

import { copyButton, h, icon, iconButton } from "./dom.js";
import { unfinished } from "./follow.js";
import { count, seconds, speed } from "./format.js";
import { Markdown } from "./markdown.js";
import { Outlook } from "./outlook.js";

/** How many siblings there are, and a way to each. */
function branches(message, { siblings, show }) {
  const all = siblings(message.id);
  if (all.length < 2) return null;
  const at = all.indexOf(message.id);
  const go = (step, name, label) => iconButton(name, label, () => show(all[at + step]), { disabled: !all[at + step] });
  return h("span", { class: "branches", role: "group", "aria-label": "Versions" },
    go(-1, "left", "Earlier version"), h("span", {}, `${at + 1} / ${all.length}`), go(1, "right", "Later version"));
}

const long = (text) => text.length > 1500 || text.split("\n", 25).length > 24;

/** Show only the beginning of a long text, and a button for the rest. */
function fold(said) {
  said.classList.add("folded");
  const button = h("button", { type: "button", class: "quiet fold", "aria-expanded": "false", onclick: () => {
    const open = !said.classList.toggle("folded");
    button.textContent = open ? "Show less" : "Show all";
    button.setAttribute("aria-expanded", String(open));
  } }, "Show all");
  return button;
}

/** What a person wrote. on: siblings(id), edit(message), show(id). */
export function question(message, on) {
  const said = h("div", { class: "said", dir: "auto" }, message.content);
  const buttons = h("div", { class: "actions" }, long(message.content) && fold(said), branches(message, on),
    iconButton("edit", "Edit and ask again", () => on.edit(message)), copyButton("Copy the question", () => message.content));
  return h("article", { class: "question", "data-id": message.id, "aria-label": "You" }, said, buttons);
}

/** An answer, finished or being written. on: siblings, show, retry, vote, best, prefer, report, goOn. */
export class Answer {
  #body = h("div", { class: "text" });
  #state = h("p", { class: "state" });
  #actions = h("div", { class: "actions" });
  #markdown = new Markdown(this.#body);
  #outlook = new Outlook();
  #frame = 0;
  #text = "";
  #pieces = 0;
  #rated = null;
  #figures = 0;

  constructor(message, on) {
    Object.assign(this, { message, on });
    this.element = h("article", { class: "answer", "data-id": message.id, "aria-label": "Answer" }, this.#body, this.#state, this.#actions);
    if (unfinished(message)) this.#begin();
    else this.#finish();
  }

  get text() {
    return this.#text;
  }

  // --- while it is written ---

  #begin() {
    this.element.classList.add("running");
    this.element.setAttribute("aria-busy", "true");
    this.#say("Asking …");
  }

  waits(position, size) {
    const wait = this.#outlook.at(position, performance.now() / 1000);
    if (!position && size < 2) return this.#say("Waiting for the first word …");
    const before = position ? `${count(position, "question")} before yours` : "you are next";
    this.#say(`Waiting in the queue: ${[before, wait].filter(Boolean).join(" · ")}.`);
  }

  /** More of the text; it is shown with the next frame. */
  piece(text) {
    this.#pieces++;
    this.#text += text;
    this.#markdown.write(text);
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.#frame = 0;
    this.#markdown.draw();
    const now = performance.now();
    if (now - this.#figures > 250) {
      this.#figures = now;
      this.#say(`${count(this.#pieces, "token")}${this.#rate(now)}`);
    }
    this.on.grew();
  }

  /** Tokens per second, not counting those that were there when we came. */
  #rate(now) {
    this.#rated ??= { since: now, pieces: this.#pieces };
    const { since, pieces } = this.#rated;
    return now - since < 500 ? "" : ` · ${speed((this.#pieces - pieces) / ((now - since) / 1000))}`;
  }

  lost(sentence) {
    this.element.classList.add("lost");
    this.#say(`${sentence} The answer goes on without us; trying to reach it again …`);
  }

  back() {
    if (this.element.classList.contains("lost")) {
      this.element.classList.remove("lost");
      this.#say(this.#pieces ? "Here again." : "Waiting …");
    }
  }

  stopping() {
    this.#say("Stopping …");
  }

  /** It has ended; `note` says more about how. */
  end(message, note = "") {
    this.message = message;
    cancelAnimationFrame(this.#frame);
    this.element.classList.remove("running", "lost");
    this.element.removeAttribute("aria-busy");
    this.#finish(note);
  }

  // --- when it has ended ---

  #finish(note = "") {
    const text = this.message.content ?? "";
    if (text.startsWith(this.#text)) this.#markdown.write(text.slice(this.#text.length));
    else {
      this.#body.replaceChildren();
      this.#markdown = new Markdown(this.#body);
      this.#markdown.write(text);
    }
    this.#text = text;
    this.#markdown.end();
    this.#state.replaceChildren();
    this.#trouble(note);
    this.refresh();
  }

  #trouble(note) {
    const { state, error, finish, truncated } = this.message;
    if (state === "cancelled") this.#note(note || "Stopped.");
    else if (state !== "complete") this.#note(error ?? "The answer failed.", "failed", h("button", { type: "button", onclick: () => this.on.retry(this.message) }, icon("retry"), "Try again"));
    if (finish === "length") this.#note("Cut off: the answer reached its longest length.", "", h("button", { type: "button", onclick: () => this.on.goOn(this.message) }, "Go on"));
    if (truncated) this.#note(`${count(truncated, "message")} did not fit into the model's context, wholly or in part.`);
  }

  #note(sentence, kind = "", ...more) {
    this.#state.append(h("span", { class: `note ${kind}` }, sentence, ...more));
  }

  #say(sentence) {
    this.#state.replaceChildren(h("span", { class: "progress" }, sentence));
  }

  /** The buttons and figures anew, for votes and siblings change. */
  refresh() {
    const { message, on } = this;
    if (unfinished(message)) return this.#actions.replaceChildren(...[branches(message, on)].filter(Boolean));
    const vote = (score, name, label) => iconButton(name, label, () => on.vote(this, message.score === score ? 0 : score), { "aria-pressed": String(message.score === score) });
    const best = on.best(message);
    this.#actions.replaceChildren(...[
      branches(message, on),
      copyButton("Copy the answer", () => this.#text),
      iconButton("retry", "Answer again", () => on.retry(message)),
      vote(1, "up", "A good answer"),
      vote(-1, "down", "A bad answer"),
      best !== null && iconButton("star", "The best of these answers", () => on.prefer(this), { "aria-pressed": String(best) }),
      iconButton("flag", message.reports.length ? "Reported; report again" : "Report this answer", () => on.report(this), { "aria-pressed": String(message.reports.length > 0) }),
      figures(message),
    ].filter(Boolean));
  }
}

/** How an answer ended, in a sentence for who does not see it. */
export function outcome({ state, usage, error }) {
  const tokens = count(usage?.completion_tokens ?? 0, "token");
  if (state === "complete") return `The answer is complete: ${tokens}.`;
  return state === "cancelled" ? `Stopped after ${tokens}.` : `The answer failed: ${error}`;
}

/** Who answered, how much and how fast. */
function figures({ work_parameters: work, worker, usage, timings, attempts }) {
  const tokens = usage?.completion_tokens ?? 0;
  const parts = [
    work?.model_config.model_id,
    tokens > 0 && count(tokens, "token"),
    tokens > 1 && timings?.generate > 0 && speed((tokens - 1) / timings.generate),
    timings?.first_token != null && `first after ${seconds(timings.queue + timings.first_token)}`,
  ];
  const more = [
    worker && `worker ${worker}`,
    attempts > 1 && `taken over ${count(attempts - 1, "time")}`,
    timings?.queue > 0.5 && `queued ${seconds(timings.queue)}`,
    usage?.prompt_tokens && `${count(usage.prompt_tokens, "token")} read, ${usage.cached_tokens} of them remembered`,
  ];
  return h("span", { class: "figures", title: more.filter(Boolean).join(", ") }, parts.filter(Boolean).join(" · "));
}
