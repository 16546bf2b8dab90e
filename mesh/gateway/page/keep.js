// What this browser remembers: the session, drafts, how to answer. Never more than a convenience.
// Where its storage is full or forbidden, this page remembers until it is closed.

const PREFIX = "mesh.";
const SHARED = new Set(["session", "name", "theme"]); // of everybody who uses this browser
const here = new Map();
let whose = "";
let trouble = () => {};

/** Be told once when the browser does not store any more. */
export function onFull(tell) {
  trouble = tell;
}

/** From now on drafts and choices are those of this person. */
export function belongsTo(person) {
  whose = person;
}

const key = (name) => PREFIX + (SHARED.has(name) ? name : `${encodeURIComponent(whose)}.${name}`);

/** What was kept under a name, or null. */
export function kept(name) {
  name = key(name);
  if (here.has(name)) return here.get(name);
  try {
    return JSON.parse(localStorage.getItem(name));
  } catch {
    return null;
  }
}

/** Forget all that belongs to this person. */
export function forgetAll() {
  const own = `${PREFIX}${encodeURIComponent(whose)}.`;
  try {
    for (const name of Object.keys(localStorage)) if (name.startsWith(own)) localStorage.removeItem(name);
  } catch {
    // There is no storage to forget anything.
  }
  here.clear();
  keep("name", null);
}

/** Keep a value; null forgets it. */
export function keep(name, value) {
  name = key(name);
  try {
    if (value === null) localStorage.removeItem(name);
    else localStorage.setItem(name, JSON.stringify(value));
    here.delete(name);
  } catch {
    here.set(name, value);
    trouble();
    trouble = () => {};
  }
}
