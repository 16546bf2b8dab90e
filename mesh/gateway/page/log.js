// The column of messages: builds the newest first and the others while the browser has time, and
// keeps to the end as long as the reader is there.

import { h, iconButton } from "./dom.js";

const AT_ONCE = 12; // messages that are built before anything is shown
const SLICE = 8; // milliseconds of building between two frames
const NEAR = 80; // pixels from the end that count as being there

export class Log {
  #stuck = true;
  #build = 0;

  constructor() {
    this.list = h("div", { class: "messages", role: "log", "aria-live": "off", "aria-label": "Conversation" });
    this.down = iconButton("send", "To the end", () => this.toEnd(), { class: "icon-button to-end", hidden: true });
    this.scroller = h("div", { class: "scroller", onscroll: () => this.#scrolled() }, this.list);
    this.element = h("div", { class: "log" }, this.scroller, this.down);
    new ResizeObserver(() => this.stick()).observe(this.scroller);
  }

  /** Show something else than messages. */
  greet(...nodes) {
    this.#build++;
    this.list.replaceChildren(...nodes);
    this.down.hidden = true;
  }

  /** Show messages, each made by `make(message)`. */
  show(messages, make) {
    const build = ++this.#build;
    const kept = this.#stuck;
    let at = Math.max(0, messages.length - AT_ONCE);
    this.list.replaceChildren(...messages.slice(at).map(make));
    if (kept) this.toEnd();
    const more = () => {
      if (build !== this.#build) return;
      const until = performance.now() + SLICE;
      const made = [];
      while (at > 0 && performance.now() < until) made.unshift(make(messages[--at]));
      const before = this.scroller.scrollHeight;
      const top = this.scroller.scrollTop;
      this.list.prepend(...made);
      if (this.#stuck) this.toEnd();
      else if (this.scroller.scrollTop === top) this.scroller.scrollTop = top + this.scroller.scrollHeight - before;
      if (at > 0) setTimeout(more);
    };
    if (at > 0) setTimeout(more);
  }

  /** Something grew: stay at the end if the reader is there. */
  stick() {
    if (this.#stuck) this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  toEnd() {
    this.#stuck = true;
    this.down.hidden = true;
    this.stick();
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    this.#stuck = scrollHeight - scrollTop - clientHeight < NEAR;
    this.down.hidden = this.#stuck;
  }
}
