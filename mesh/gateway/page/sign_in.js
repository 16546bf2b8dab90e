// Signing in: by name on one's own machine, with a password, or through another site.

import { get, post } from "./api.js";
import { field } from "./dialogs.js";
import { h } from "./dom.js";
import { lastName, signedIn } from "./session.js";

/**
 * A form to sign in with in `app`, by whichever way this gateway offers; then `start()`.
 * reason: what went wrong, if it did; note: what was done, if something was.
 */
export async function showSignIn(app, start, reason = "", chosen = null, note = "") {
  const box = h("main", { class: "alone", id: "main" }, h("img", { src: "/page/icon.svg", alt: "", width: "56", height: "56" }), h("h1", {}, "Mesh"), note && h("p", { role: "status" }, note));
  app.replaceChildren(box);
  try {
    const offered = await get("/auth/providers");
    const way = chosen ?? offered.find((each) => each in WAYS);
    const others = offered.filter((other) => other !== way).map((other) => other in WAYS
      ? h("button", { type: "button", class: "quiet", onclick: () => showSignIn(app, start, "", other) }, WAYS[other].instead)
      : h("a", { class: "quiet", href: `/auth/login/${encodeURIComponent(other)}` }, `Sign in with ${SITES[other] ?? other}`));
    box.append(form(reason, WAYS[way], others, start));
  } catch (error) {
    box.append(h("p", { class: "trouble", role: "alert" }, error.message), h("button", { type: "button", onclick: () => showSignIn(app, start, reason, chosen) }, "Try again"));
  }
}

/** Somebody comes back from another site: its tokens are fetched once, by a cookie that no script reads. */
export async function comeBack(app, start) {
  history.replaceState(null, "", "#/");
  try {
    const { access_token, refresh_token } = await post("/auth/ticket");
    const { account, provider, display_name } = await get("/account", { headers: { Authorization: `Bearer ${access_token}` } });
    signedIn(display_name || account, { access_token: { access_token }, refresh_token }, `${provider}:${account}`);
    start();
  } catch (error) {
    showSignIn(app, start, error.message);
  }
}

const SITES = { github: "GitHub", google: "Google", discord: "Discord", oidc: "your organisation" };

/** The ways to sign in, the easiest first: {hint, secret, instead, enter(name, password)}. */
const WAYS = {
  debug: {
    hint: "This mesh is on your own machine: a name is enough, and it finds your chats again.",
    instead: "Sign in by name alone",
    enter: async (name) => signedIn(name, await get(`/auth/callback/debug?code=${encodeURIComponent(name)}`)),
  },
  password: {
    secret: true,
    instead: "Sign in with a password",
    enter: async (name, password) => signedIn(name, await post("/auth/login", { username: name, password }), `password:${name}`),
  },
};

function form(reason, { hint, secret, enter }, others, start) {
  const trouble = h("p", { class: "trouble", role: "alert", hidden: !reason }, reason);
  const input = h("input", { name: "name", required: true, maxlength: "100", autocomplete: "username", dir: "auto", value: lastName() });
  const password = secret && h("input", { name: "password", type: "password", required: true, autocomplete: "current-password" });
  const submit = async (event) => {
    event.preventDefault();
    try {
      await enter(input.value.trim(), password?.value);
      start();
    } catch (error) {
      trouble.textContent = error.message;
      trouble.hidden = false;
    }
  };
  queueMicrotask(() => (secret && input.value ? password : input).focus());
  return h("form", { class: "sign-in", onsubmit: submit }, trouble, field("Your name", input, hint), secret && field("Password", password), h("button", { class: "primary" }, secret ? "Sign in" : "Begin"), ...others);
}
