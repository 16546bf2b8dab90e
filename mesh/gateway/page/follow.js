// Follows one answer to its end over as many connections as it takes. Shows nothing.

import { events, get, Refusal, Unreachable } from "./api.js";

const FIRST = 200, LONGEST = 3000;
const OPEN = new Set(["pending", "in_progress"]);

/** Whether a message is still being written. */
export const unfinished = (message) => OPEN.has(message.state);

/**
 * Follow an answer from its first piece on, until it has ended or `signal` is aborted.
 * `on` has: pending(position, size), piece(text), lost(sentence), back(), end(message).
 * However often the connection is lost, pieces come in order and each once.
 */
export async function follow(chatId, messageId, on, signal) {
  const path = `/chats/${chatId}/messages/${messageId}`;
  const reader = { next: 0, delay: FIRST };
  while (!signal.aborted) {
    try {
      const message = await readOn(path, reader, on, signal);
      if (message) return on.end(message);
    } catch (error) {
      if (signal.aborted) return;
      if (!passing(error)) throw error;
      on.lost(error.message);
    }
    await pause(reader.delay, signal);
    reader.delay = Math.min(reader.delay * 2, LONGEST);
  }
}

/** Whether trying again may help. */
const passing = (error) => error instanceof Unreachable || (error instanceof Refusal && error.status >= 500);

/** One connection: returns the ended message, or null where the stream was cut. */
async function readOn(path, reader, on, signal) {
  const stream = events(`${path}/events`, { after: reader.next ? reader.next - 1 : null, signal });
  try {
    for (;;) {
      const { value, done } = await stream.next();
      if (done) return value ? null : ended(await get(path, { signal }));
      on.back();
      reader.delay = FIRST;
      const message = hear(value, reader, on);
      if (message) return message;
    }
  } finally {
    stream.return();
  }
}

const ended = (message) => (unfinished(message) ? null : message);

/** Take in one event; returns the message if it was the last one. */
function hear({ id, data }, reader, on) {
  const event = JSON.parse(data);
  switch (event.event_type) {
    case "pending":
      on.pending(event.queue_position, event.queue_size);
      return null;
    case "token":
      if (Number(id) > reader.next) throw new Unreachable(); // a piece is missing: ask again for it
      if (Number(id) === reader.next) on.piece(event.text, reader.next++);
      return null;
    default:
      return event.message ?? null;
  }
}

/** Wait some milliseconds, less if the signal is aborted or the browser finds its network again. */
export function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(done, milliseconds * (0.5 + Math.random() / 2));
    function done() {
      clearTimeout(timer);
      removeEventListener("online", done);
      resolve();
    }
    addEventListener("online", done, { once: true });
    signal?.addEventListener("abort", done, { once: true });
  });
}
