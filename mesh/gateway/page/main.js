// The page: shows a chat or the mesh, as the address says, to whoever is signed in.

import { logOut, whenSignedOut } from "./api.js";
import { Chat } from "./chat.js";
import { current, h, iconButton } from "./dom.js";
import { onFull } from "./keep.js";
import { MeshView } from "./mesh.js";
import { session, signedOut } from "./session.js";
import { Sidebar } from "./sidebar.js";
import { comeBack, showSignIn } from "./sign_in.js";

const app = document.getElementById("app");
let shell = null;

/** Everything but signing in: the list at the side, and the view beside it. */
class Shell {
  constructor() {
    this.sidebar = new Sidebar({ signOut, left, trouble: (sentence) => this.tell(sentence), deleted: (id) => this.chat.id === id && (location.hash = "#/") });
    this.chat = new Chat({
      created: (chat) => this.#at(`#/chat/${chat.id}`, chat.id),
      changed: () => this.sidebar.load(),
    });
    this.mesh = new MeshView((sentence) => this.tell(sentence));
    this.person = session()?.person;
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
    clearTimeout(this.told);
    this.told = setTimeout(() => (this.notice.hidden = true), 8000);
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
  logOut();
  left();
}

/** The session has ended, and nobody is to be told. */
function left(note = "") {
  shell?.view?.close();
  shell = null;
  signedOut();
  history.replaceState(null, "", "#/"); // who comes next has other chats
  showSignIn(app, start, "", null, note);
}

function shortcut(event) {
  if (!shell || !(event.ctrlKey || event.metaKey)) return;
  if (event.key === "k") shell.sidebar.focusSearch();
  else if (event.shiftKey && event.key.toLowerCase() === "o") location.hash = "#/";
  else return;
  event.preventDefault();
}

whenSignedOut((sentence) => {
  for (const box of document.querySelectorAll("dialog")) box.close();
  shell?.view?.close();
  shell = null;
  showSignIn(app, start, sentence);
});
onFull(() => shell?.tell("This browser's storage is full: what you type is kept only while this page is open."));
addEventListener("hashchange", () => shell?.route());
addEventListener("keydown", shortcut);
addEventListener("storage", () => session()?.person !== shell?.person && location.reload()); // another tab signed in or out
if (location.hash === "#/signed-in") comeBack(app, start);
else if (session()) start();
else showSignIn(app, start);
