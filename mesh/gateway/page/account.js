// One's own account in a dialog: password, keys, one's data, leaving everywhere or for good.

import { download, get, post, put, remove } from "./api.js";
import { dialog, field, tick } from "./dialogs.js";
import { copyButton, h, say } from "./dom.js";
import { forgetAll } from "./keep.js";
import { session, signedIn } from "./session.js";

const DAY = 86_400; // seconds
const SCOPES = {
  ask: ["Ask models", "questions outside chats, OpenAI's API"],
  chats: ["Your chats", "read, write and delete them"],
  mesh: ["The mesh", "look at it, and give it orders if you may"],
  account: ["This account", "its password, keys and data: everything"],
  admin: ["Administration", "people, limits and workers, if you may"],
};
const USUAL = ["ask", "chats", "mesh"];
const LASTS = { "": "Until it is revoked", 30: "30 days", 90: "90 days", 365: "A year" };

/** Show the account; `left(sentence)` when the session has ended here. Raises Refusal, Unreachable. */
export async function account(left) {
  const [me, { keys }] = await Promise.all([get("/account"), get("/account/keys")]);
  const name = me.display_name || me.account;
  const trouble = h("p", { class: "trouble", role: "alert", hidden: true });
  const button = (label, act, danger = false) => h("button", { type: "button", class: danger && "danger", onclick: () => guarded(trouble, act) }, label);
  const list = h("ul", { class: "keys" });
  const make = button("Make a key …", async () => {
    const made = await makeKey();
    if (made) await showKeys(list, make);
  });
  drawKeys(list, make, keys);
  const leave = (sentence) => {
    for (const box of document.querySelectorAll("dialog")) box.close();
    left(sentence);
  };
  await dialog("Account", [
    h("p", {}, h("strong", { dir: "auto" }, name), ` · ${me.role} · since ${day(me.created_at)}`),
    trouble,
    h("section", {}, h("h3", {}, "Signing in"),
      me.provider !== "password" && h("p", {}, me.provider === "debug" ? "By name alone, on this machine: there is no password." : `Through ${me.provider}: there is no password here.`),
      h("div", { class: "offers" },
        me.provider === "password" && button("Change password …", () => changePassword(me, name)),
        button("Sign out everywhere …", () => signOutEverywhere(leave)))),
    h("section", {}, h("h3", {}, "Keys for programs"), list, h("div", { class: "offers" }, make)),
    h("section", {}, h("h3", {}, "Your data"),
      h("div", { class: "offers" }, button("Download all of it", saveExport), button("Delete the account …", () => deleteAccount(name, leave), true))),
  ]);
}

/** Do it; what goes wrong is said in the dialog. */
async function guarded(trouble, act) {
  trouble.hidden = true;
  try {
    await act();
  } catch (error) {
    trouble.textContent = error.message;
    trouble.hidden = false;
  }
}

const day = (seconds) => new Date(seconds * 1000).toLocaleDateString(undefined, { dateStyle: "medium" });

// --- the password ---

function passwordInput(name, autocomplete) {
  const least = autocomplete === "new-password" ? "8" : null;
  return h("input", { type: "password", name, required: true, autocomplete, minlength: least, maxlength: "1024" });
}

async function changePassword(me, name) {
  const content = [
    h("p", {}, "This signs you out everywhere else. Keys stay."),
    h("input", { name: "username", autocomplete: "username", value: me.account, hidden: true, "aria-hidden": "true", tabindex: "-1" }),
    field("Password until now", passwordInput("old", "current-password")),
    field("New password", passwordInput("new", "new-password"), "At least 8 characters."),
    field("New password, again", passwordInput("again", "new-password")),
  ];
  const done = await dialog("Change password", content, "Change", async (data) => {
    if (data.get("new") !== data.get("again")) throw new Error("The new password was typed in two ways.");
    await get("/auth/check"); // renews the session, if need be
    await put("/account/password", { old: data.get("old"), new: data.get("new") }, { final: true });
    const { person } = session() ?? {};
    signedIn(name, await post("/auth/login", { username: me.account, password: data.get("new") }), person);
  });
  if (done) say("The password is changed.");
}

async function signOutEverywhere(leave) {
  const what = h("p", {}, "Every browser and program that signed in with your account has to do so again, this one too. Keys stay.");
  if (await dialog("Sign out everywhere?", [what], "Sign out", () => remove("/auth/sessions"))) leave("You are signed out everywhere.");
}

// --- keys ---

async function showKeys(list, make) {
  drawKeys(list, make, (await get("/account/keys")).keys);
  make.focus();
}

function drawKeys(list, make, keys) {
  const revoke = async (key) => {
    const what = h("p", {}, `What uses “${key.name}” is refused from then on, for good.`);
    if (await dialog("Revoke this key?", [what], "Revoke", () => remove(`/account/keys/${key.id}`), { danger: true })) await showKeys(list, make);
  };
  list.replaceChildren(...keys.map((key) => {
    const trouble = h("p", { class: "trouble", role: "alert", hidden: true });
    const until = key.expires_at ? ` · until ${day(key.expires_at)}` : "";
    const used = key.last_used_at ? `used ${day(key.last_used_at)}` : "not used yet";
    return h("li", {},
      h("div", {}, h("strong", { dir: "auto" }, key.name || "Without a name"), h("code", {}, `${key.hint}…`), h("small", {}, `${key.scopes.join(", ")} · ${used}${until}`), trouble),
      h("button", { type: "button", "aria-label": `Revoke “${key.name}”`, onclick: () => guarded(trouble, () => revoke(key)) }, "Revoke …"));
  }));
  if (!keys.length) list.append(h("li", {}, h("small", {}, "None yet. A key lets a program ask in your name, without your password.")));
}

/** Ask what for, make it, and show it, which happens once; whether one was made. */
async function makeKey() {
  let made = null;
  const content = [
    field("What it is for", h("input", { name: "name", required: true, maxlength: "100", dir: "auto", placeholder: "laptop, editor, …" })),
    h("fieldset", {}, h("legend", {}, "What it opens"), Object.entries(SCOPES).map(([scope, [label, hint]]) => tick(scope, label, USUAL.includes(scope), hint))),
    field("How long it lasts", h("select", { name: "lasts" }, Object.entries(LASTS).map(([value, label]) => h("option", { value, selected: value === "" }, label)))),
  ];
  await dialog("Make a key", content, "Make it", async (data) => {
    const scopes = Object.keys(SCOPES).filter((scope) => data.has(scope));
    if (!scopes.length) throw new Error("A key has to open something.");
    const expires_in = data.get("lasts") ? Number(data.get("lasts")) * DAY : null;
    made = await post("/account/keys", { name: data.get("name").trim(), scopes, expires_in });
  });
  if (made) await showSecret(made.secret);
  return made !== null;
}

function showSecret(secret) {
  const input = h("input", { readonly: true, class: "secret", value: secret, "aria-label": "The key", autocomplete: "off", onfocus: (event) => event.target.select() });
  return dialog("Your new key", [
    h("p", {}, "Copy it now: it is not shown again. Programs send it as “Authorization: Bearer …”; the commands take it from MESH_TOKEN."),
    h("div", { class: "buttons" }, input, copyButton("Copy the key", () => secret)),
  ]);
}

// --- one's data ---

async function saveExport() {
  const blob = await download("/account/export");
  const end = await blob.slice(-100).text();
  if (!/"kind":"end"[^\n]*\n$/.test(end)) throw new Error("The export was cut off; try again.");
  const url = URL.createObjectURL(blob);
  h("a", { href: url, download: "mesh-export.jsonl" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  say("The export is downloaded.");
}

async function deleteAccount(name, leave) {
  const content = [
    h("p", {}, "Your chats, answers, links, keys and this account are deleted for good. Nobody can bring them back."),
    field(`Type “${name}” to go on`, h("input", { name: "typed", required: true, autocomplete: "off", dir: "auto" })),
  ];
  const done = await dialog("Delete the account?", content, "Delete for good", async (data) => {
    if (data.get("typed").trim() !== name) throw new Error(`That is not “${name}”; nothing was deleted.`);
    await remove("/account");
  }, { danger: true });
  if (!done) return;
  leave("The account is deleted.");
  forgetAll(); // also what was kept on leaving
}
