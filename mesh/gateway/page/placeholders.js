// What stands where there are no messages to show.

import { h } from "./dom.js";

/** Before the first question of a chat. */
export const greeting = () => h("div", { class: "empty" }, h("h2", {}, "What would you like to know?"), h("p", {}, "Your question goes to whichever worker of this mesh is free. The answer is kept, also if you close this page."));

/** A chat that could not be read. */
export const notShown = (error, again) => h("div", { class: "empty" }, h("h2", {}, "This chat cannot be shown"), h("p", { class: "trouble" }, error.message), h("button", { type: "button", onclick: again }, "Try again"));
