// The list of one's chats: begin, search, open, rename, hide, delete.

import { account } from "./account.js";
import { get, put, remove } from "./api.js";
import { dialog, field, menu, tick } from "./dialogs.js";
import { current, h, icon, iconButton } from "./dom.js";
import { ago } from "./format.js";
import { keep, kept } from "./keep.js";
import { session } from "./session.js";
import { share } from "./sharing.js";

const PAGE = 50;
const PAUSE = 200; // milliseconds of not typing after which a search begins
const THEMES = { auto: "As the system", light: "Light", dark: "Dark" };

export class Sidebar {
  #hidden = false;
  #next = null;
  #chats = [];
  #timer = 0;
  #search = 0;

  /** on: signOut(), left(sentence), trouble(sentence), deleted(id). */
  constructor(on) {
    this.on = on;
    this.current = null;
    this.list = h("nav", { class: "chats", "aria-label": "Chats" });
    this.input = h("input", { type: "search", placeholder: "Search", "aria-label": "Search in your chats", oninput: () => this.#typed() });
    const account = h("button", { type: "button", class: "account", "aria-haspopup": "menu", onclick: () => this.#account(account) }, h("span", { class: "face", "aria-hidden": "true" }), h("span", { class: "who" }), icon("more"));
    this.account = account;
    this.element = h("aside", { class: "sidebar", "aria-label": "Your chats" },
      h("a", { class: "new", href: "#/" }, icon("plus"), "New chat"),
      h("label", { class: "search" }, icon("search"), this.input), this.list,
      h("a", { class: "to-mesh", href: "#/mesh" }, icon("mesh"), "The mesh"), account);
    theme(kept("theme") ?? "auto");
  }

  /** Read the list anew. */
  async load() {
    const name = session()?.name ?? "";
    this.account.querySelector(".face").textContent = [...name][0]?.toUpperCase() ?? "";
    this.account.querySelector(".who").textContent = name;
    if (this.input.value.trim()) return this.#find();
    try {
      const page = await this.#page(null);
      this.#chats = page.chats;
      this.#next = page.next;
      this.#show();
    } catch (error) {
      this.#say(error.message, () => this.load());
    }
  }

  /** Mark the chat that is open. */
  mark(id) {
    this.current = id;
    for (const link of this.list.querySelectorAll("a")) current(link, link.dataset.id === id);
  }

  focusSearch() {
    this.input.focus();
    this.input.select();
  }

  #page(after) {
    return get(`/chats?limit=${PAGE}&include_hidden=${this.#hidden}${after ? `&after=${encodeURIComponent(after)}` : ""}`);
  }

  async #more(button) {
    button.disabled = true;
    try {
      const page = await this.#page(this.#next);
      this.#chats.push(...page.chats);
      this.#next = page.next;
      this.#show();
    } catch (error) {
      button.disabled = false;
      this.on.trouble(error.message);
    }
  }

  #show() {
    if (!this.#chats.length) return this.#say("Your chats will stand here.");
    const rows = [];
    let group = "";
    for (const chat of this.#chats) {
      const age = ago(new Date(chat.created_at));
      if (age !== group) rows.push(h("h2", {}, (group = age)));
      rows.push(this.#row(chat));
    }
    if (this.#next) rows.push(h("button", { type: "button", class: "quiet", onclick: (event) => this.#more(event.target) }, "Older chats"));
    this.#fill(...rows);
    this.mark(this.current);
  }

  /** Draw the list anew; the focus stays where it was. */
  #fill(...rows) {
    const focused = this.list.contains(document.activeElement) && document.activeElement.id;
    this.list.replaceChildren(...rows);
    if (focused) document.getElementById(focused)?.focus();
  }

  #row(chat, excerpt = null) {
    const title = chat.title || "Untitled";
    const more = iconButton("more", `More about “${title}”`, () => menu(more, this.#menu(chat)), { id: `more-${chat.id}`, "aria-haspopup": "menu" });
    const link = h("a", { id: `chat-${chat.id}`, href: `#/chat/${chat.id}`, "data-id": chat.id, title, dir: "auto" }, h("span", { class: "title" }, title), excerpt);
    return h("div", { class: `row ${chat.hidden ? "is-hidden" : ""}` }, link, more);
  }

  #menu(chat) {
    return [
      { label: "Rename …", act: () => this.#rename(chat) },
      { label: "Share …", act: () => share(chat).catch((error) => this.on.trouble(error.message)) },
      { label: chat.hidden ? "Show again" : "Hide", act: () => this.#change(chat, { hidden: !chat.hidden }) },
      { label: chat.allow_data_use ? "Keep out of exports" : "Allow in exports", act: () => this.#change(chat, { allow_data_use: !chat.allow_data_use }) },
      { label: "Delete …", act: () => this.#delete(chat), danger: true },
    ];
  }

  async #change(chat, change) {
    try {
      await put(`/chats/${chat.id}`, change);
    } catch (error) {
      return this.on.trouble(error.message);
    }
    this.load();
  }

  async #rename(chat) {
    const input = h("input", { name: "title", required: true, maxlength: "100", dir: "auto", value: chat.title ?? "" });
    const done = await dialog("Rename this chat", [field("Title", input)], "Rename", (data) => put(`/chats/${chat.id}`, { title: data.get("title").trim() }));
    if (done) this.load();
  }

  async #delete(chat) {
    const what = h("p", {}, `“${chat.title || "Untitled"}” and all its messages are deleted for good.`);
    if (!(await dialog("Delete this chat?", [what], "Delete", () => remove(`/chats/${chat.id}`), { danger: true }))) return;
    for (const what of ["draft", "edit", "options"]) keep(`${what}.${chat.id}`, null);
    this.on.deleted(chat.id);
    this.load();
  }

  // --- searching ---

  #typed() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.load(), PAUSE);
  }

  async #find() {
    const search = ++this.#search;
    const words = this.input.value.trim();
    try {
      const { hits } = await get(`/chats/search?q=${encodeURIComponent(words)}&include_hidden=${this.#hidden}`);
      if (search !== this.#search || !this.input.value.trim()) return;
      if (!hits.length) return this.#say(`Nothing was found for “${words}”.`);
      this.#fill(h("h2", {}, `${hits.length} found`), ...hits.map(({ chat, excerpt }) => this.#row(chat, marked(excerpt, words))));
      this.mark(this.current);
    } catch (error) {
      this.#say(error.message, () => this.#find());
    }
  }

  #say(sentence, again = null) {
    this.list.replaceChildren(h("p", { class: "hint" }, sentence), again ? h("button", { type: "button", class: "quiet", onclick: again }, "Try again") : "");
  }

  // --- the account ---

  #account(button) {
    menu(button, [
      { label: "Colours …", act: () => this.#colours() },
      { label: this.#hidden ? "Leave out hidden chats" : "Show hidden chats", act: () => ((this.#hidden = !this.#hidden), this.load()) },
      { label: "Hide all chats …", act: () => this.#hideAll() },
      { label: "Account …", act: () => account(this.on.left).catch((error) => this.on.trouble(error.message)) },
      { label: "Sign out", act: () => this.on.signOut() },
    ]);
  }

  async #colours() {
    const now = kept("theme") ?? "auto";
    const choices = Object.entries(THEMES).map(([value, label]) => h("label", { class: "tick" }, h("input", { type: "radio", name: "theme", value, checked: value === now, onchange: () => theme(value) }), h("span", {}, label)));
    const data = await dialog("Colours", choices, "Keep");
    if (data) keep("theme", data.get("theme"));
    theme(kept("theme") ?? "auto");
  }

  async #hideAll() {
    const what = h("p", {}, "They leave this list; “Show hidden chats” brings them back.");
    if (await dialog("Hide all chats?", [what], "Hide all", () => put("/chats/hide_all"))) this.load();
  }
}

function theme(name) {
  document.documentElement.dataset.theme = name;
}

/** An excerpt with the words that were looked for standing out. */
function marked(excerpt, words) {
  const found = new RegExp(`(${words.split(/\s+/).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")})`, "iu");
  return h("span", { class: "excerpt" }, excerpt.split(found).map((part, at) => (at % 2 ? h("mark", {}, part) : part)));
}
