// Markdown as it is written: takes text piece by piece and grows the DOM, without ever going back.
// Each line is placed once; only the paragraph that is being written is drawn anew, and of a long
// one only its end. Draws nothing until `draw()`, which is to be called once per frame.

import { h } from "./dom.js";
import { CodeBlock, Paragraph, Table } from "./leaves.js";

const PACK = 40; // finished blocks that get a box of their own, so that the browser can skip it
const LONGEST_MARK = 1000; // characters that may be structure before a line is taken as text
const MARKS = /^[\s>#\-*+_~`=|:.()[\]\dxX]*$/;
const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^`]*)$/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)])( +|$)/;
const RULE = /^ {0,3}([-*_])( *\1){2,} *$/;
const HEADING = /^ {0,3}(#{1,6})(?: +|$)/;
const DELIMITER = /^ *\|?( *:?-+:? *\|)+( *:?-+:? *)?\|? *$/;

export class Markdown {
  #line = ""; // a line of which it is not clear yet what it begins
  #inLine = false;
  #return = false; // the last character was one, and a line feed may follow that belongs to it
  #leaf = null;
  #containers = [];
  #dirty = new Set();
  #packed = 0; // boxes of finished blocks at the beginning of the root

  constructor(root) {
    this.root = root;
  }

  /** Take in more text. */
  write(text) {
    if (this.#return && text.startsWith("\n")) text = text.slice(1);
    this.#return = text ? text.endsWith("\r") : this.#return;
    for (const part of text.replace(/\r\n?/g, "\n").split(/(?<=\n)/)) this.#part(part);
  }

  /** Show what was written since the last time. */
  draw() {
    for (const leaf of this.#dirty) leaf.draw();
    this.#dirty.clear();
  }

  /** There is no more text. */
  end() {
    if (this.#line) this.#begin(this.#line, true);
    this.#line = "";
    this.#finishLeaf();
    this.#containers = [];
  }

  #part(part) {
    const whole = part.endsWith("\n");
    const text = whole ? part.slice(0, -1) : part;
    if (this.#inLine) this.#more(text);
    else {
      this.#line += text;
      if (whole || this.#clear(this.#line)) {
        const line = this.#line;
        this.#line = "";
        this.#inLine = true;
        this.#begin(line, whole);
      }
    }
    if (whole) this.#inLine = false;
  }

  /** Whether it can be told already what a line is that may still grow. */
  #clear(line) {
    if (this.#leaf instanceof CodeBlock) return !/^[ >`~]*$/.test(line);
    if (/^[\s>\-*+\d.)]*(\||`{3}|~{3})/.test(line) || this.#leaf instanceof Table) return false;
    return line.length > LONGEST_MARK || !MARKS.test(line);
  }

  #more(text) {
    if (!this.#leaf || !text) return;
    this.#leaf.append(text);
    this.#dirty.add(this.#leaf);
  }

  /** Place a line: first the containers it belongs to, then what it begins in them. */
  #begin(line, whole) {
    if (this.root.childElementCount > this.#packed + PACK + 1) this.#pack();
    const { rest, depth } = this.#matched(line);
    if (this.#leaf instanceof CodeBlock && depth >= this.#leaf.depth) return this.#code(rest);
    if (!rest.trim()) return this.#blank(depth);
    const lazy = depth < this.#containers.length && this.#leaf instanceof Paragraph && !this.#leaf.single && !this.#startsBlock(rest);
    if (lazy) return this.#continue(rest.trimStart());
    this.#close(depth, ITEM.exec(rest));
    this.#open(rest, whole);
  }

  /** Put finished blocks into a box; the last one may be open. */
  #pack() {
    const box = h("div", { class: "run" });
    box.append(...[...this.root.children].slice(this.#packed, this.#packed + PACK));
    this.root.insertBefore(box, this.root.children[this.#packed++] ?? null);
  }

  /** How many of the open containers go on with this line, and what is left of it for the last. */
  #matched(line) {
    let rest = line, depth = 0;
    for (const container of this.#containers) {
      const next = container.strip(rest);
      if (next === null) break;
      rest = next;
      depth++;
    }
    return { rest, depth };
  }

  #startsBlock(text) {
    return ITEM.test(text) || FENCE.test(text) || HEADING.test(text) || RULE.test(text) || /^ {0,3}>/.test(text);
  }

  #code(text) {
    if (this.#leaf.closes(text)) this.#finishLeaf();
    else this.#more(this.#leaf.line(text));
  }

  #blank(depth) {
    this.#finishLeaf();
    const quote = this.#containers.findIndex((container, at) => at >= depth && container.kind === "quote");
    if (quote >= 0) this.#close(quote);
  }

  #continue(text) {
    this.#leaf.append("\n");
    this.#more(text);
  }

  /** Begin what a line begins, containers first. */
  #open(text, whole) {
    const quote = /^ {0,3}> ?/.exec(text);
    if (quote) {
      this.#push(quoteContainer(this.#parent()));
      return text.length > quote[0].length && this.#open(text.slice(quote[0].length), whole);
    }
    if (RULE.test(text)) return this.#rule();
    const item = ITEM.exec(text);
    if (item && (item[3] || whole)) return this.#item(item, text, whole);
    this.#block(text, whole);
  }

  #item([mark, indent, bullet], text, whole) {
    const ordered = /\d/.test(bullet);
    const kind = ordered ? "ol" : "ul";
    let list = this.#containers.at(-1);
    if (list?.kind !== "list" || list.element.localName !== kind) {
      if (list?.kind === "list") this.#containers.pop();
      list = listContainer(this.#parent(), kind, ordered ? parseInt(bullet) : null);
      this.#push(list);
    }
    const item = itemContainer(list.element, indent.length, mark.length);
    this.#push(item);
    let rest = text.slice(mark.length);
    const task = /^\[([ xX])\] /.exec(rest);
    if (task) {
      item.element.classList.add("task");
      item.element.append(h("input", { type: "checkbox", disabled: true, checked: task[1] !== " ", "aria-label": task[1] === " " ? "open" : "done" }));
      rest = rest.slice(4);
    }
    if (rest.trim()) this.#open(rest, whole);
  }

  #block(text, whole) {
    const fence = FENCE.exec(text);
    if (fence && whole) return this.#start(new CodeBlock(this.#parent(), fence[1], fence[2].trim(), this.#containers.length));
    const heading = HEADING.exec(text);
    if (heading) {
      const level = Math.min(heading[1].length + 2, 6); // the page has headings of its own above
      this.#start(new Paragraph(this.#parent(), `h${level}`, true));
      return this.#more(text.slice(heading[0].length));
    }
    if (whole && DELIMITER.test(text) && this.#leaf instanceof Paragraph && this.#leaf.text.includes("|")) return this.#table(text);
    if (this.#leaf instanceof Table && text.includes("|")) return this.#more(text);
    if (this.#leaf instanceof Paragraph && !this.#leaf.single) return this.#continue(text.trimStart());
    this.#start(new Paragraph(this.#parent(), "p"));
    this.#more(text.trimStart());
  }

  #table(delimiter) {
    const head = this.#leaf.takeLastLine();
    this.#finishLeaf();
    this.#start(new Table(this.#parent(), head, delimiter));
  }

  #rule() {
    this.#finishLeaf();
    this.#parent().append(h("hr"));
  }

  #start(leaf) {
    this.#finishLeaf();
    this.#leaf = leaf;
    this.#dirty.add(leaf);
  }

  #finishLeaf() {
    this.#leaf?.end();
    this.#dirty.delete(this.#leaf);
    this.#leaf = null;
  }

  #parent() {
    return this.#containers.at(-1)?.element ?? this.root;
  }

  #push(container) {
    this.#finishLeaf();
    this.#containers.push(container);
  }

  /** End the containers from `depth` on; a list stays for its next item. */
  #close(depth, item = null) {
    const open = this.#containers;
    if (open.length > depth) this.#finishLeaf();
    const list = open[depth];
    open.length = Math.min(open.length, depth + (item && list?.kind === "list" ? 1 : 0));
    if (!item && open.at(-1)?.kind === "list" && depth === open.length) open.pop();
  }
}

/** A line goes on with a quote if it has its mark. */
function quoteContainer(parent) {
  const element = h("blockquote", { dir: "auto" });
  parent.append(element);
  return { kind: "quote", element, strip: (line) => (/^ {0,3}> ?/.test(line) ? line.replace(/^ {0,3}> ?/, "") : null) };
}

/** A list is as long as its items say. */
function listContainer(parent, kind, start) {
  const element = h(kind, { dir: "auto", start: start === 1 ? null : start });
  parent.append(element);
  return { kind: "list", element, strip: (line) => line };
}

/** A line goes on with an item if it is blank, or stands to the right of its mark. */
function itemContainer(list, indent, width) {
  const element = h("li", { dir: "auto" });
  list.append(element);
  const strip = (line) => {
    const spaces = /^ */.exec(line)[0].length;
    if (!line.trim()) return "";
    return spaces >= indent + 2 ? line.slice(Math.min(spaces, width)) : null;
  };
  return { kind: "item", element, strip };
}
