// Markdown within a line of text: emphasis, code, links. Builds nodes, loads nothing.

import { h } from "./dom.js";

const REACH = 2000; // characters within which a mark must be closed
const PLAIN = /[^\\`*_~[!<h\n]+/y;
const URL = /https?:\/\/[^\s<>"'`]*[^\s<>"'`.,;:!?)\]}*_]/y;
const AUTOLINK = /<(https?:\/\/[^\s<>]+|mailto:[^\s<>]+)>/y;
const CODE = /(`+)(?!`)/y;
const PUNCTUATION = /[!-/:-@[-`{-~]/;

/**
 * Append the nodes of a text to `parent`. With `open` the text is still growing: what begins to be
 * bold or code at its end is shown as such already. Returns the last place at which everything
 * before is sure to stay as it is.
 */
export function inline(parent, text, open = false) {
  return new Inline(text, open).into(parent);
}

class Inline {
  constructor(text, open) {
    Object.assign(this, { text, open, at: 0, plain: "", safe: 0, sure: true });
  }

  into(parent) {
    this.parent = parent;
    while (this.at < this.text.length) this.step();
    this.flush();
    return this.safe;
  }

  step() {
    const { text, at } = this;
    const run = this.match(PLAIN);
    if (run) {
      const space = run[0].lastIndexOf(" ");
      if (this.sure && space >= 0) this.safe = at + space + 1;
      this.literal(run[0]);
      return;
    }
    switch (text[at]) {
      case "\\":
        return this.escape();
      case "\n":
        return this.lineBreak();
      case "`":
        return this.code();
      case "[":
        return this.link(at) || this.doubt("[");
      case "!":
        return (text[at + 1] === "[" && this.link(at + 1)) || this.literal("!");
      case "<":
        return this.url(this.match(AUTOLINK), 1) || this.literal("<");
      case "h":
        return this.url(this.match(URL), 0) || this.literal("h");
      default:
        return this.emphasis(text[at]);
    }
  }

  match(pattern) {
    pattern.lastIndex = this.at;
    return pattern.exec(this.text);
  }

  literal(text) {
    this.plain += text;
    this.at += text.length;
    return true;
  }

  /** A mark that may yet be closed by what follows. */
  doubt(text) {
    if (this.text.length - this.at < REACH) this.sure = false;
    return this.literal(text);
  }

  flush() {
    if (this.plain) this.parent.append(this.plain);
    this.plain = "";
  }

  append(node, length) {
    this.flush();
    this.parent.append(node);
    this.at += length;
    return true;
  }

  escape() {
    const next = this.text[this.at + 1];
    if (next === undefined || !PUNCTUATION.test(next)) return this.literal("\\");
    this.plain += next;
    this.at += 2;
  }

  lineBreak() {
    this.plain = this.plain.replace(/ +$/, "");
    this.append(h("br"), 1);
    if (this.sure) this.safe = this.at;
  }

  code() {
    const [ticks] = this.match(CODE) ?? ["`"];
    const from = this.at + ticks.length;
    let to = this.text.indexOf(ticks, from);
    while (to >= 0 && this.text[to + ticks.length] === "`") {
      while (this.text[to] === "`") to++;
      to = this.text.indexOf(ticks, to);
    }
    if (to < 0 && !(this.open && this.text.length > from)) return this.doubt(ticks);
    if (to < 0) this.sure = false;
    const content = this.text.slice(from, to < 0 ? undefined : to);
    const trimmed = /^ .*[^ ].* $/.test(content) ? content.slice(1, -1) : content;
    this.append(h("code", { dir: "ltr" }, trimmed), content.length + ticks.length * (to < 0 ? 1 : 2));
  }

  emphasis(mark) {
    const run = this.match(mark === "*" ? /\*+/y : mark === "_" ? /_+/y : /~+/y)[0];
    if (run.length > 3) return this.literal(run);
    const width = Math.min(run.length, 2);
    const marks = mark.repeat(width);
    if ((mark === "~" && width === 1) || !this.opens(mark, width)) return this.literal(marks);
    const from = this.at + width;
    let to = this.closer(marks, from);
    const growing = to < 0 && this.open && width === 2 && this.text.length - from < REACH;
    if (to < 0 && !growing) return this.doubt(marks);
    if (growing) {
      this.sure = false;
      to = this.text.length;
    }
    const tag = mark === "~" ? "del" : width === 2 ? "strong" : "em";
    const node = h(tag);
    inline(node, this.text.slice(from, to), growing);
    this.append(node, to - this.at + (growing ? 0 : width));
  }

  /** Whether these marks stand before a word; `_` only where one begins. */
  opens(mark, width) {
    const before = this.text[this.at - 1] ?? " ", after = this.text[this.at + width] ?? " ";
    return !/\s/.test(after) && (mark !== "_" || !/[\p{L}\p{N}]/u.test(before));
  }

  /** Where the marks that began before `from` are closed; -1: nowhere near. */
  closer(marks, from) {
    const mark = marks[0], end = Math.min(this.text.length, from + REACH);
    for (let at = from + 1; at < end; at++) {
      if (this.text[at] === "`") {
        const past = this.text.indexOf("`", at + 1);
        if (past > 0) at = past;
      } else if (this.text[at] === mark && this.text[at - 1] !== "\\") {
        const start = at;
        while (this.text[at] === mark) at++;
        const fits = marks.length === 2 ? at - start >= 2 : (at - start) % 2 === 1;
        const after = this.text[at] ?? " ";
        if (fits && !/\s/.test(this.text[start - 1]) && (mark !== "_" || !/[\p{L}\p{N}]/u.test(after))) return at - marks.length;
        at--;
      }
    }
    return -1;
  }

  link(at) {
    const found = /^\[((?:[^[\]\\]|\\.|\[[^[\]]*\])*)\]\(\s*<?([^\s<>]*?)>?(?:\s+["'][^"']*["'])?\s*\)/.exec(this.text.slice(at, at + REACH));
    if (!found) return false;
    const [whole, label, target] = found;
    const node = anchor(target);
    if (label) inline(node, label);
    else node.append(target);
    return this.append(node, whole.length + at - this.at);
  }

  url(found, group) {
    if (!found) return false;
    const target = found[group].replace(/^<|>$/g, "");
    return this.append(anchor(target, target), found[0].length);
  }
}

/** A link to another site, or plain text where the target is none that a browser should open. */
function anchor(target, ...children) {
  const fine = /^(https?:|mailto:)/i.test(target);
  return fine ? h("a", { href: target, rel: "noopener noreferrer nofollow", target: "_blank" }, ...children) : h("span", {}, ...children);
}
