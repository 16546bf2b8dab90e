// Who is signed in, kept in this browser so that a reload and a second tab know it too.

import { belongsTo, keep, kept } from "./keep.js";

const KEY = "session";

/** {name, person, access, refresh} or null. `person`: whom drafts and choices belong to. */
export const session = () => kept(KEY);

/** Who was here last, to be greeted by name. */
export const lastName = () => kept("name") ?? "";

/** person: whom drafts and choices belong to, where the name alone does not tell. */
export function signedIn(name, pair, person = name) {
  keep(KEY, { name, person, access: pair.access_token.access_token, refresh: pair.refresh_token.access_token });
  keep("name", name);
  belongsTo(person);
}

/** A new access token, and the refresh token for the next time: each is good for one use. */
export function renewed({ access_token: access, refresh_token: next }) {
  const now = session();
  keep(KEY, { ...now, access, refresh: next?.access_token ?? now.refresh });
}

export function signedOut() {
  keep(KEY, null);
}

belongsTo(session()?.person ?? "");
