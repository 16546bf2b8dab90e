// A line over time, drawn small. Keeps its own values; one value a second.

import { h, svg } from "./dom.js";

const WIDTH = 60, HEIGHT = 32; // in values, and in units of the drawing

export class Chart {
  #values = [];
  #line = svg("path", { class: "line" });
  #area = svg("path", { class: "area" });

  constructor(label) {
    this.drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label }, this.#area, this.#line);
    this.element = h("div", { class: "chart" }, this.drawing);
    this.label = label;
  }

  /** The largest value that is shown. */
  get most() {
    return Math.max(...this.#values, 0);
  }

  push(value) {
    this.#values.push(value);
    if (this.#values.length > WIDTH) this.#values.shift();
    const top = Math.max(this.most, 1);
    const start = WIDTH - this.#values.length;
    const points = this.#values.map((each, at) => `${start + at + 0.5} ${(HEIGHT - 1 - (each / top) * (HEIGHT - 3)).toFixed(1)}`);
    const line = `M${points.join("L")}`;
    this.#line.setAttribute("d", line);
    this.#area.setAttribute("d", `${line}L${WIDTH - 0.5} ${HEIGHT}L${start + 0.5} ${HEIGHT}Z`);
    this.drawing.setAttribute("aria-label", `${this.label}: ${Math.round(value)} now, at most ${Math.round(this.most)} of late`);
  }
}
