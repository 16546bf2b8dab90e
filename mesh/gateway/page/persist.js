// Sends what is done once, however often it has to be sent: as long as nobody answers, and when a
// person sends it again after silence.

import { post, Refusal, Unreachable } from "./api.js";
import { pause } from "./follow.js";

const PATIENCE = 10_000, PAUSE = 500; // milliseconds

/** Do `act` until it does not meet silence; `tell(sentence or null)` says how it stands. */
export async function persist(act, tell, signal) {
  const until = performance.now() + PATIENCE;
  for (;;) {
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof Unreachable) || performance.now() > until) throw error;
      tell("The gateway does not answer; trying again …");
      await pause(PAUSE, signal);
      signal.throwIfAborted();
      tell(null);
    }
  }
}

/** Posts what must not be done twice: the same words to the same place have one key until they are heard. */
export class Once {
  #unheard = null;

  /** The reply. Raises Refusal, Unreachable. */
  async post(path, body, signal) {
    const what = JSON.stringify([path, body]);
    if (this.#unheard?.what !== what) this.#unheard = { what, key: crypto.randomUUID?.() ?? String(Math.random()) };
    try {
      const reply = await post(path, body, { headers: { "Idempotency-Key": this.#unheard.key }, signal });
      this.#unheard = null;
      return reply;
    } catch (error) {
      if (error instanceof Refusal && error.status < 500) this.#unheard = null;
      throw error;
    }
  }
}
