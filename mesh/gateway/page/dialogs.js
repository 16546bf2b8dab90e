// Small questions in a box of their own: the browser's own dialog element keeps focus and Escape right.

import { h, iconButton } from "./dom.js";

/**
 * Show a dialog with a form in it; resolves to the form's data, or null if it was closed.
 * `act` may raise an error: its sentence is shown in the dialog, which then stays open.
 * Without `confirm` there is nothing to do in it but what its content offers, and to close it.
 */
export function dialog(title, content, confirm = null, act = () => {}, { danger = false } = {}) {
  const id = `dialog-${++dialogs}`;
  const trouble = h("p", { class: "trouble", role: "alert", hidden: true });
  const close = h("button", { type: "button", class: confirm ? "quiet" : "primary", onclick: () => box.close() }, confirm ? "Cancel" : "Done");
  const submit = confirm && h("button", { class: danger ? "danger" : "primary" }, confirm);
  const form = h("form", { novalidate: false }, ...content, trouble,
    h("div", { class: "buttons" }, close, submit));
  const box = h("dialog", { "aria-labelledby": id },
    h("header", {}, h("h2", { id }, title), iconButton("close", "Close", () => box.close())), form);
  return new Promise((resolve) => {
    let result = null, touched = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (!submit) return;
      submit.disabled = true;
      try {
        const data = new FormData(form);
        await act(data);
        result = data;
        box.close();
      } catch (error) {
        trouble.textContent = error.message;
        trouble.hidden = false;
      }
      submit.disabled = false;
    });
    form.addEventListener("input", () => (touched = true));
    box.addEventListener("click", (event) => event.target === box && !touched && box.close()); // beside it
    box.addEventListener("close", () => {
      box.remove();
      resolve(result);
    });
    document.body.append(box);
    box.showModal();
  });
}

let dialogs = 0, fields = 0;

/** A labelled field of a form. */
export function field(label, control, hint = null) {
  const id = `field-${++fields}`;
  control.id = id;
  if (hint) control.setAttribute("aria-describedby", `${id}-hint`);
  return h("div", { class: "field" }, h("label", { for: id }, label), control, hint && h("small", { id: `${id}-hint` }, hint));
}

/** A box to tick, with what it means. */
export function tick(name, label, checked, hint = null) {
  return h("label", { class: "tick" }, h("input", { type: "checkbox", name, checked }), h("span", {}, label, hint && h("small", {}, hint)));
}

let opened = null; // the menu that is open: {button, close}

/**
 * A menu at a button, which also closes it. items: {label, act, danger} or null for those that do not
 * apply. A button that may be drawn anew meanwhile has an id, by which it gets the focus back.
 */
export function menu(button, items) {
  const again = opened?.button === button;
  opened?.close();
  if (again) return;
  const close = () => {
    opened = null;
    list.remove();
    button.setAttribute("aria-expanded", "false");
    removeEventListener("pointerdown", outside, true);
  };
  const back = () => (close(), (document.getElementById(button.id) ?? button).focus());
  const outside = (event) => !list.contains(event.target) && !button.contains(event.target) && close();
  const list = h("div", { class: "menu", role: "menu" }, items.filter(Boolean).map(({ label, act, danger }) =>
    h("button", { type: "button", role: "menuitem", class: danger && "danger", onclick: () => (close(), act()) }, label)));
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const all = [...list.children];
    if (event.key === "Tab") return back(); // from where the browser takes its step
    if (step) all.at((all.indexOf(document.activeElement) + step) % all.length).focus();
    else if (event.key === "Escape") back();
    else return;
    event.preventDefault();
  });
  addEventListener("pointerdown", outside, true);
  button.setAttribute("aria-expanded", "true");
  opened = { button, close };
  document.body.append(list); // not in the row: that may be drawn anew meanwhile
  place(list, button.getBoundingClientRect());
  list.firstChild.focus();
}

/** Below the button, or above it where there is no room below. */
function place(list, { top, right, bottom }) {
  const below = bottom + 4, above = top - list.offsetHeight - 4;
  list.style.top = `${below + list.offsetHeight > innerHeight && above > 0 ? above : below}px`;
  list.style.left = `${Math.max(8, right - list.offsetWidth)}px`;
}
