// The page: signs in, and shows a chat or the mesh, as the address says.

import { get, logOut, post, whenSignedOut } from "./api.js";
import { Chat } from "./chat.js";
import { field } from "./dialogs.js";
import { current, h, iconButton } from "./dom.js";
import { onFull } from "./keep.js";
import { MeshView } from "./mesh.js";
import { lastName, session, signedIn, signedOut } from "./session.js";
import { Sidebar } from "./sidebar.js";

const app = document.getElementById("app");
let shell = null;

/** Everything but signing in: the list at the side, and the view beside it. */
class Shell {
  constructor() {
    this.sidebar = new Sidebar({ signOut, deleted: (id) => this.chat.id === id && (location.hash = "#/") });
    this.chat = new Chat({
      created: (chat) => this.#at(`#/chat/${chat.id}`, chat.id),
      changed: () => this.sidebar.load(),
    });
    this.mesh = new MeshView();
    this.notice = h("p", { class: "notice", role: "alert", hidden: true });
    const drawer = (open) => this.element.classList.toggle("drawer", open);
    this.element = h("div", { class: "shell" },
      h("header", { class: "bar" }, iconButton("menu", "Your chats", () => drawer(!this.element.classList.contains("drawer"))), h("strong", {}, "Mesh"), iconButton("plus", "New chat", () => (location.hash = "#/"))),
      this.sidebar.element, h("div", { class: "shade", onclick: () => drawer(false) }), this.notice);
    this.element.addEventListener("keydown", (event) => event.key === "Escape" && drawer(false));
    this.element.addEventListener("click", (event) => event.target.closest("a[href^='#/']") && drawer(false));
  }

  /** Show what the address names. */
  route() {
    const [, kind, id] = location.hash.split("/");
    const view = kind === "mesh" ? this.mesh : this.chat;
    if (this.view !== view) {
      this.view?.close();
      this.view?.element.remove();
      this.view = view;
      this.element.append(view.element);
    }
    this.element.classList.remove("drawer");
    this.sidebar.mark(kind === "chat" ? id : null);
    current(this.sidebar.element.querySelector(".to-mesh"), kind === "mesh");
    document.title = kind === "mesh" ? "The mesh" : "Mesh";
    if (kind === "mesh") this.mesh.open();
    else this.chat.open(kind === "chat" ? id : null);
  }

  tell(sentence) {
    this.notice.textContent = sentence;
    this.notice.hidden = false;
    setTimeout(() => (this.notice.hidden = true), 8000);
  }

  /** The address changes with what is shown already. */
  #at(hash, id) {
    history.pushState(null, "", hash);
    this.sidebar.mark(id);
    if (id) this.sidebar.load();
  }
}

function start() {
  shell = new Shell();
  app.replaceChildren(shell.element);
  shell.sidebar.load();
  shell.route();
}

function signOut() {
  shell?.view?.close();
  shell = null;
  logOut();
  signedOut();
  history.replaceState(null, "", "#/"); // who comes next has other chats
  showSignIn();
}

/** A form to sign in with, by whichever way this gateway offers. */
async function showSignIn(reason = "", chosen = null) {
  const box = h("main", { class: "alone", id: "main" }, h("img", { src: "/page/icon.svg", alt: "", width: "56", height: "56" }), h("h1", {}, "Mesh"));
  app.replaceChildren(box);
  try {
    const offered = (await get("/auth/providers")).filter((way) => way in WAYS);
    const way = chosen ?? offered[0];
    const others = offered.filter((other) => other !== way).map((other) => h("button", { type: "button", class: "quiet", onclick: () => showSignIn("", other) }, WAYS[other].instead));
    box.append(way ? signInForm(reason, WAYS[way], others) : h("p", {}, "This gateway offers no way to sign in that this page knows."));
  } catch (error) {
    box.append(h("p", { class: "trouble", role: "alert" }, error.message), h("button", { type: "button", onclick: () => showSignIn(reason, chosen) }, "Try again"));
  }
}

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
    enter: async (name, password) => signedIn(name, await post("/auth/login", { username: name, password }), "password"),
  },
};

function signInForm(reason, { hint, secret, enter }, others) {
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

function shortcut(event) {
  if (!shell || !(event.ctrlKey || event.metaKey)) return;
  if (event.key === "k") shell.sidebar.focusSearch();
  else if (event.shiftKey && event.key.toLowerCase() === "o") location.hash = "#/";
  else return;
  event.preventDefault();
}

whenSignedOut((sentence) => {
  shell?.view?.close();
  shell = null;
  showSignIn(sentence);
});
onFull(() => shell?.tell("This browser's storage is full: what you type is kept only while this page is open."));
addEventListener("hashchange", () => shell?.route());
addEventListener("keydown", shortcut);
if (session()) start();
else showSignIn();
