// Who is signed in, kept in this browser so that a reload and a second tab know it too.

import { belongsTo, keep, kept } from "./keep.js";

const KEY = "session";

/** {name, access, refresh} or null. */
export const session = () => kept(KEY);

/** Who was here last, to be greeted by name. */
export const lastName = () => kept("name") ?? "";

export function signedIn(name, pair) {
  keep(KEY, { name, access: pair.access_token.access_token, refresh: pair.refresh_token.access_token });
  keep("name", name);
  belongsTo(name);
}

export function renewed(access) {
  keep(KEY, { ...session(), access });
}

export function signedOut() {
  keep(KEY, null);
}

belongsTo(session()?.name ?? "");
