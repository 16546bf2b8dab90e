// The column of messages: builds the newest first and the others while the browser has time, and
// keeps to the end as long as the reader is there.

import { h, iconButton } from "./dom.js";

const AT_ONCE = 12; // messages that are built before anything is shown
const SLICE = 8; // milliseconds of building between two frames
const NEAR = 80; // pixels from the end that count as being there

export class Log {
  #stuck = true;
  #build = 0;
  #missing = 0;
  #keys = [];

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
    this.#keys = [];
    this.list.replaceChildren(...nodes);
    this.down.hidden = true;
  }

  /** Show messages, each made by `make(message)`; those with the same key as before stay. */
  show(messages, key, make) {
    const keys = messages.map(key);
    const same = this.#missing ? 0 : keys.findIndex((each, at) => each !== this.#keys[at]);
    const kept = same < 0 ? keys.length : same;
    this.#keys = keys;
    const build = ++this.#build;
    const stuck = this.#stuck;
    this.#missing = kept ? 0 : Math.max(0, messages.length - AT_ONCE);
    const made = messages.slice(kept || this.#missing).map(make);
    while (this.list.childElementCount > kept) this.list.lastChild.remove();
    this.list.append(...made);
    if (stuck) this.toEnd();
    this.#buildMore(build, messages, make);
  }

  /** Build what is above, in slices, without moving what is read. */
  #buildMore(build, messages, make) {
    if (this.#missing) setTimeout(() => build === this.#build && this.#slice(build, messages, make));
  }

  #slice(build, messages, make) {
    const until = performance.now() + SLICE;
    const made = [];
    while (this.#missing && performance.now() < until) made.unshift(make(messages[--this.#missing]));
    const { scrollHeight, scrollTop } = this.scroller;
    this.list.prepend(...made);
    if (this.#stuck) this.stick();
    else if (this.scroller.scrollTop === scrollTop) this.scroller.scrollTop += this.scroller.scrollHeight - scrollHeight;
    this.#buildMore(build, messages, make);
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
