// How long one may still wait in the queue, guessed from those who went before. Pure.

import { seconds } from "./format.js";

const spoken = (value) => (value < 100 ? `${Math.max(1, Math.round(value))} s` : seconds(value));

/** One question on its way through the queue. */
export class Outlook {
  #begun = null; // {position, now}, when it was first heard of
  #moved = null; // the same, when somebody before it went last

  /** Take in how many are before, at a time in seconds; returns what to say of the wait, "" at first. */
  at(position, now) {
    const last = this.#moved ?? this.#begun;
    if (!last || position > last.position) [this.#begun, this.#moved] = [{ position, now }, null];
    else if (position < last.position) this.#moved = { position, now };
    const waited = now - this.#begun.now, left = this.#left(now);
    return waited < 1 ? "" : `${spoken(waited)} so far${left > 0 ? `, about ${spoken(left)} to go` : ""}`;
  }

  /** Seconds until its turn, at the pace of those who went; 0: nobody can tell. */
  #left(now) {
    if (!this.#moved) return 0;
    const each = (this.#moved.now - this.#begun.now) / (this.#begun.position - this.#moved.position);
    return each * (this.#moved.position + 1) - (now - this.#moved.now);
  }
}
