import { h } from "./dom.js";
export class MeshView { element = h("main", { class: "mesh" }); open() {} close() {} }
