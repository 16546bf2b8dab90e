// What this browser remembers: the session, drafts, how to answer. Never more than a convenience.
// Where its storage is full or forbidden, this page remembers until it is closed.

const PREFIX = "mesh.";
const here = new Map();
let trouble = () => {};

/** Be told once when the browser does not store any more. */
export function onFull(tell) {
  trouble = tell;
}

/** What was kept under a name, or null. */
export function kept(name) {
  if (here.has(name)) return here.get(name);
  try {
    return JSON.parse(localStorage.getItem(PREFIX + name));
  } catch {
    return null;
  }
}

/** Keep a value; null forgets it. */
export function keep(name, value) {
  try {
    if (value === null) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, JSON.stringify(value));
    here.delete(name);
  } catch {
    here.set(name, value);
    trouble();
    trouble = () => {};
  }
}
