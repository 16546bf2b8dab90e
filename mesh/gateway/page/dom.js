// Builds DOM nodes. Text is always a text node: nothing that was said ever becomes markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element: h("button", {class: "quiet", onclick: f}, "Text", node, …). null and false are left out. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An SVG element. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

const PATHS = {
  menu: "M4 7h16M4 12h16M4 17h16",
  plus: "M12 5v14M5 12h14",
  search: "M16 16l4 4M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13z",
  send: "M12 19V5M6 11l6-6 6 6",
  stop: "M8 8h8v8H8z",
  retry: "M20 5v5h-5M19.5 10A8 8 0 1 0 20 14",
  edit: "M5 19h3L19 8l-3-3L5 16zM14 7l3 3",
  copy: "M9 9h10v10H9zM6 15H5V5h10v1",
  check: "M5 13l4 4L19 7",
  up: "M7 10v9H4v-9zm0 0l4-6c2 0 2 1.500 2 3v2h5c1.500 0 2 1 1.700 2l-1.500 6c-.2 1-1 2-2.200 2H7",
  down: "M7 14V5H4v9zm0 0l4 6c2 0 2-1.500 2-3v-2h5c1.500 0 2-1 1.700-2l-1.500-6c-.2-1-1-2-2.200-2H7",
  star: "M12 4l2.400 5 5.600.800-4 3.900 1 5.500-5-2.600-5 2.600 1-5.500-4-3.900 5.600-.800z",
  flag: "M6 21V4h11l-2 4 2 4H6",
  left: "M14 6l-6 6 6 6",
  right: "M10 6l6 6-6 6",
  more: "M6 12h.01M12 12h.01M18 12h.01",
  sliders: "M4 8h9m5 0h2M4 16h2m5 0h9M13 8a2.500 2.500 0 1 0 5 0 2.500 2.500 0 0 0-5 0zM6 16a2.500 2.500 0 1 0 5 0 2.500 2.500 0 0 0-5 0z",
  mesh: "M6 7l12 2-4 9zM6 7h.01M18 9h.01M14 18h.01",
  close: "M6 6l12 12M18 6L6 18",
};

/** A small drawing that screen readers skip. */
export function icon(name) {
  const drawing = svg("svg", { viewBox: "0 0 24 24", class: `icon icon-${name}`, "aria-hidden": "true", focusable: "false" });
  drawing.append(svg("path", { d: PATHS[name] }));
  return drawing;
}

/** A button that shows a drawing only; its name is read out and shown on hovering. */
export function iconButton(name, label, onclick, attributes = {}) {
  return h("button", { type: "button", class: "icon-button", "aria-label": label, title: label, onclick, ...attributes }, icon(name));
}

/** Marks a link as the one to what is shown, or not. */
export function current(link, is) {
  if (is) link.setAttribute("aria-current", "page");
  else link.removeAttribute("aria-current");
}

/** Tells screen readers what sighted people see happen. */
export function say(sentence) {
  document.getElementById("says").textContent = sentence;
}

/** Puts text on the clipboard, also where the page is not a secure context; says whether it worked. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = h("textarea", { class: "unseen", value: text });
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

/** A button that copies what `text()` says, and shows for a moment that it did. */
export function copyButton(label, text) {
  const button = iconButton("copy", label, async () => {
    const done = await copy(text());
    button.replaceChildren(icon(done ? "check" : "close"));
    say(done ? "Copied." : "The browser did not allow to copy.");
    setTimeout(() => button.replaceChildren(icon("copy")), 1500);
  });
  return button;
}
