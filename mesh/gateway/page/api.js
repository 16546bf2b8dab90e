// Calls the gateway: signs each request, renews the access token, and turns every trouble into a sentence.

import { Decoder } from "./sse.js";
import { renewed, session, signedOut } from "./session.js";

/** The gateway said no. `code` is for programs, the message for people, `wait` in seconds or null. */
export class Refusal extends Error {
  constructor(status, code, sentence, wait) {
    super(sentence);
    Object.assign(this, { status, code, wait });
  }
}

/** Nobody answered at all. */
export class Unreachable extends Error {
  constructor() {
    super("The gateway does not answer.");
  }
}

let onSignedOut = () => {};

/** What to do when the session has ended for good. */
export function whenSignedOut(act) {
  onSignedOut = act;
}

/**
 * Call a route; returns the decoded JSON, or null where there is none. Raises Refusal, Unreachable.
 * final: a 401 is about what is sent, and renewing the session would not help.
 */
async function call(method, path, { body, headers = {}, signal, final = false } = {}) {
  const response = await send(method, path, { body, headers, signal, final });
  const text = await read(response);
  return text ? JSON.parse(text) : null;
}

/** What a route sends, as a file. Raises Refusal, Unreachable. */
export async function download(path) {
  const response = await send("GET", path, {});
  return response.blob().catch(() => {
    throw new Unreachable();
  });
}

export const get = (path, options) => call("GET", path, options);
export const post = (path, body = {}, options = {}) => call("POST", path, { body, ...options });
export const put = (path, body, options = {}) => call("PUT", path, { body, ...options });
export const remove = (path) => call("DELETE", path);

/** Follow a route's events: yields {id, data}. Ends when the stream does; returns false for a 204. */
export async function* events(path, { after = null, signal } = {}) {
  const headers = after === null ? {} : { "Last-Event-ID": String(after) };
  const response = await send("GET", path, { headers, signal });
  if (response.status === 204) return false;
  const decoder = new Decoder();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return true;
      yield* decoder.feed(value);
    }
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Unreachable();
  } finally {
    reader.cancel().catch(() => {});
  }
}

async function send(method, path, options) {
  const response = await once(method, path, options);
  if (response.status !== 401 || !session() || options.final) return checked(response);
  const refusal = await refused(response);
  if (!(await renew())) {
    signedOut();
    onSignedOut(refusal.message);
    throw refusal;
  }
  return checked(await once(method, path, options));
}

async function once(method, path, { body, headers, signal }) {
  const known = session();
  const all = { ...headers };
  if (known) all.Authorization = `Bearer ${known.access}`;
  if (body !== undefined) all["Content-Type"] = "application/json";
  try {
    return await fetch(path, { method, headers: all, body: body === undefined ? undefined : JSON.stringify(body), signal, cache: "no-store" });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Unreachable();
  }
}

async function checked(response) {
  if (response.ok) return response;
  throw await refused(response);
}

async function refused(response) {
  let said = {};
  try {
    said = JSON.parse(await response.text());
  } catch {
    // Something between us and the gateway answered in its own way.
  }
  const wait = Number(response.headers.get("retry-after")) || null;
  const sentence = said.detail ?? said.error?.message ?? `The gateway answered with status ${response.status}.`;
  return new Refusal(response.status, said.code ?? said.error?.code ?? "", sentence, wait);
}

async function read(response) {
  try {
    return await response.text();
  } catch {
    throw new Unreachable();
  }
}

/** Get another access token, once for all who need it now; false where the session is over. */
async function renew() {
  renewing ??= ask().finally(() => (renewing = null));
  return renewing;
}

let renewing = null;

async function ask() {
  const before = session();
  const response = await once("GET", "/auth/refresh", { headers: { Refresh: before.refresh } });
  if (response.status === 401) return session()?.access !== before.access;
  renewed(await (await checked(response)).json());
  return true;
}

/** Tell the gateway that this session is over; nobody waits for it. */
export function logOut() {
  once("POST", "/auth/logout", { headers: { Refresh: session()?.refresh ?? "" } }).catch(() => {});
}
