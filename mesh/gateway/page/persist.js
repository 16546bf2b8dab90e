// Goes on trying while nobody answers. For what may be sent again, because it is done once.

import { Unreachable } from "./api.js";
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
