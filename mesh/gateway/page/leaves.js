// The blocks of markdown that hold text: paragraphs and headings, code, tables. They only ever grow.

import { copyButton, h } from "./dom.js";
import { inline } from "./inline.js";

const SETTLE = 400; // characters of a paragraph's end that are drawn anew
const RUN = 4000; // characters of a huge paragraph that get a box of their own
const CHUNK = 80; // lines of code in one box, so that the browser can skip boxes out of sight

/** Text with emphasis, code and links in it. `single`: it ends with its line, as headings do. */
export class Paragraph {
  #settled = 0;
  #nodes = 0;
  #boxed = 0; // of the settled nodes, those in boxes: one box each
  #run = 0; // characters settled since the last box

  constructor(parent, tag, single = false) {
    this.element = h(tag, { dir: "auto" });
    parent.append(this.element);
    this.text = "";
    this.single = single;
  }

  append(text) {
    this.text += text;
  }

  draw(open = true) {
    while (this.text.length - this.#settled > 2 * RUN && this.#settle(this.#settled + RUN));
    const end = this.text.length;
    if (open && end - this.#settled > SETTLE) this.#settle(end);
    this.#cut();
    inline(this.element, this.text.slice(this.#settled), open);
  }

  end() {
    if (this.text.trim()) this.draw(false);
    else this.element.remove();
  }

  /** Draw for good what is sure to stay as it is, up to `end`; whether there was enough of it. */
  #settle(end) {
    const text = this.text.slice(this.#settled, end);
    const safe = inline(h("span"), text, true);
    if (safe < SETTLE / 2) return false;
    this.#cut();
    inline(this.element, text.slice(0, safe));
    this.#settled += safe;
    this.#run += safe;
    if (this.text.length > 2 * RUN && this.#run > RUN / 2) this.#box();
    this.#nodes = this.element.childNodes.length;
    return true;
  }

  /** Browsers lay a paragraph out as a whole: of a huge one they get boxes that they can skip. */
  #box() {
    const box = h("span", { class: "run" });
    box.append(...[...this.element.childNodes].slice(this.#boxed));
    this.element.append(box);
    this.#boxed++;
    this.#run = 0;
  }

  /** The last line, which turns out to be the head of a table. */
  takeLastLine() {
    const at = this.text.lastIndexOf("\n");
    const line = this.text.slice(at + 1);
    this.text = this.text.slice(0, Math.max(at, 0));
    if (this.#settled > this.text.length) {
      this.#settled = this.#nodes = 0;
    }
    return line;
  }

  #cut() {
    while (this.element.childNodes.length > this.#nodes) this.element.lastChild.remove();
  }
}

/** Code, with its language and a button to copy it. */
export class CodeBlock {
  #code = h("code", { dir: "ltr" });
  #chunk = null;
  #lines = 0;
  #new = "";
  #first = true;

  constructor(parent, fence, language, depth) {
    this.fence = fence;
    this.depth = depth;
    this.text = "";
    const head = h("figcaption", {}, h("span", {}, language.split(/\s/)[0] || "text"), copyButton("Copy this code", () => this.text));
    parent.append(h("figure", { class: "code" }, head, h("pre", { tabindex: "0" }, this.#code)));
  }

  closes(line) {
    const mark = line.trim();
    return mark.length >= this.fence.length && mark === this.fence[0].repeat(mark.length);
  }

  /** A new line of code, as text to append. */
  line(text) {
    const begun = this.#first ? text : `\n${text}`;
    this.#first = false;
    return begun;
  }

  append(text) {
    this.text += text;
    this.#new += text;
  }

  draw() {
    if (!this.#new) return;
    const lines = this.#new.split(/(?<=\n)/);
    this.#new = "";
    for (const line of lines) {
      if (!this.#chunk || this.#lines >= CHUNK) this.#begin();
      this.#chunk.appendData(line);
      if (line.endsWith("\n")) this.#lines++;
    }
  }

  end() {
    this.draw();
  }

  #begin() {
    this.#chunk = document.createTextNode("");
    this.#lines = 0;
    this.#code.append(h("span", { class: "chunk" }, this.#chunk));
  }
}

/** Rows of cells; a row comes as a whole. */
export class Table {
  #body = h("tbody");
  #rows = [];

  constructor(parent, head, delimiter) {
    this.aligned = cells(delimiter).map((cell) => (/:$/.test(cell) ? (/^:/.test(cell) ? "center" : "end") : null));
    const table = h("table", {}, h("thead", {}, this.#row(head, "th")), this.#body);
    parent.append(h("div", { class: "table", tabindex: "0" }, table));
  }

  append(text) {
    this.#rows.push(text);
  }

  draw() {
    this.#body.append(...this.#rows.map((row) => this.#row(row, "td")));
    this.#rows = [];
  }

  end() {
    this.draw();
  }

  #row(line, tag) {
    const found = cells(line);
    return h("tr", {}, this.aligned.map((align, at) => {
      const cell = h(tag, { dir: "auto", class: align });
      inline(cell, found[at] ?? "");
      return cell;
    }));
  }
}

/** The cells of a row; a bar after a backslash, or within code, is none. */
function cells(line) {
  const inner = line.trim().replace(/^\|/, "").replace(/(?<!\\)\|$/, "");
  return (inner.match(/(?:\\.|`[^`]*`|[^|])+|(?<=^|\|)(?=\|)/g) ?? []).map((cell) => cell.trim().replace(/\\\|/g, "|"));
}
