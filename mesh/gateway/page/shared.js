// A chat behind a link: shows the branch that its owner looked at. Reads this one chat and nothing else.

import { h } from "./dom.js";
import { Markdown } from "./markdown.js";

const main = document.querySelector("main");

/** The messages from the first to `tail`, or to the last one where that is not among them. */
export function branch(messages, tail) {
  const byId = new Map(messages.map((message) => [message.id, message]));
  const found = [];
  for (let at = byId.get(tail) ?? messages.at(-1); at; at = byId.get(at.parent_id)) found.unshift(at);
  return found;
}

function shown(message) {
  if (message.role === "prompter") return h("article", { class: "question", "aria-label": "Question" }, h("div", { class: "said", dir: "auto" }, message.content));
  const text = h("div", { class: "text" });
  const answer = h("article", { class: "answer", "aria-label": "Answer" }, text, message.model && h("p", { class: "state" }, message.model));
  const markdown = new Markdown(text);
  markdown.write(message.content ?? "");
  markdown.end();
  markdown.draw();
  return answer;
}

async function show() {
  const response = await fetch(location.pathname, { headers: { Accept: "application/json" }, cache: "no-store" });
  const found = await response.json();
  if (!response.ok) {
    main.append(h("h1", {}, "Shared chat"), h("p", { class: "trouble", role: "alert" }, response.status === 404 ? "This link leads nowhere: it was taken back, or its chat was deleted." : found.detail));
    return;
  }
  const title = found.title || "Shared chat";
  document.title = title;
  main.append(h("h1", {}, title), ...branch(found.messages, found.active_thread_tail_message_id).map(shown));
}

show().catch(() => main.append(h("p", { class: "trouble", role: "alert" }, "The gateway does not answer.")));
