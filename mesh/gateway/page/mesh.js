// The live mesh: workers, queues, requests under way and what happens, a second old at most.

import { events, post, Refusal } from "./api.js";
import { Chart } from "./chart.js";
import { dialog, field } from "./dialogs.js";
import { h } from "./dom.js";
import { pause } from "./follow.js";
import { clock, count, seconds } from "./format.js";

const SHOWN = 200; // events that stay on the page
const FIRST = 500, LONGEST = 5000;

export class MeshView {
  #watching = null;
  #charts = new Map();
  #last = null;
  #delay = FIRST;

  /** trouble(sentence): an order was not carried out. */
  constructor(trouble) {
    this.refused = trouble;
    this.total = new Chart("Tokens per second");
    this.figures = Object.fromEntries(["speed", "running", "waiting", "workers"].map((name) => [name, h("strong", {}, "–")]));
    this.trouble = h("p", { class: "trouble", role: "status", hidden: true });
    this.workers = h("div", { class: "workers" });
    this.queues = h("tbody");
    this.requests = h("tbody");
    this.requestsTitle = h("h2", {}, "Requests");
    this.nothing = h("p", { class: "hint" }, "Nothing is asked at the moment.");
    this.happened = h("ol", { class: "happened", "aria-label": "Events, newest first" });
    const figure = (name, label) => h("div", { class: "figure" }, this.figures[name], h("span", {}, label));
    this.element = h("main", { class: "mesh", id: "main", tabindex: "-1" }, h("div", { class: "page" },
      h("h1", {}, "The mesh"), this.trouble,
      h("section", { class: "tiles", "aria-label": "Now" },
        h("div", { class: "figure wide" }, h("div", {}, this.figures.speed, h("span", {}, "tokens/s")), this.total.element),
        figure("running", "running"), figure("waiting", "waiting"), figure("workers", "workers")),
      h("section", {}, h("h2", {}, "Workers"), this.workers),
      h("section", {}, h("h2", {}, "Queue"), scrolling(["Model", "Waiting", "Running", "Workers", "Slots"], this.queues)),
      h("section", {}, this.requestsTitle, this.nothing, this.table = scrolling(["Request", "State", "Since", "Worker", ""], this.requests, "requests")),
      h("section", {}, h("h2", {}, "Events"), this.happened)));
  }

  open() {
    this.close();
    this.#watching = new AbortController();
    this.#watch(this.#watching.signal);
  }

  close() {
    this.#watching?.abort();
    this.#watching = null;
  }

  async #watch(signal) {
    while (!signal.aborted) {
      let trouble = true;
      try {
        for await (const { id, data } of events("/mesh/events", { after: this.#last, signal })) this.#hear(id, JSON.parse(data));
        trouble = false; // the gateway has ended it, as when a token has expired: asking again renews that
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof Refusal && error.status < 500) return this.#say(error.message);
      }
      if (signal.aborted) return;
      if (trouble) this.#say("The gateway does not answer; what you see is old. Trying again …");
      await pause(this.#delay, signal);
      this.#delay = Math.min(this.#delay * 2, LONGEST);
    }
  }

  #say(sentence) {
    this.trouble.hidden = !sentence;
    if (this.trouble.textContent !== (sentence ?? "")) this.trouble.textContent = sentence ?? "";
  }

  #hear(id, event) {
    this.#delay = FIRST;
    if (event.event_type === "state") return this.#show(event);
    this.#last = Number(id);
    this.happened.prepend(happening(event));
    if (this.happened.childElementCount > SHOWN) this.happened.lastChild.remove();
  }

  #show(state) {
    this.#say(state.broker ? null : "The broker does not answer: streams pause, and nothing is lost. What you see is old.");
    const sum = (values) => values.reduce((all, value) => all + value, 0);
    const speed = sum(state.workers.map((worker) => worker.speed));
    this.total.push(speed);
    const figures = { speed: Math.round(speed), running: sum(state.queues.map((queue) => queue.running)), waiting: sum(state.queues.map((queue) => queue.waiting)), workers: state.workers.length };
    for (const [name, value] of Object.entries(figures)) this.figures[name].textContent = value.toLocaleString("en");
    this.#workers(state);
    update(this.queues, state.queues.map((queue) => [queue.model, queue]), (queue) => [
      h("td", { dir: "auto" }, queue.model), h("td", { class: queue.waiting && !queue.workers && "bad" }, String(queue.waiting)), h("td", {}, String(queue.running)),
      h("td", { class: !queue.workers && "bad" }, queue.workers ? String(queue.workers) : "none"), h("td", {}, String(queue.slots)),
    ]);
    this.#requests(state);
  }

  #workers({ workers, operator, at }) {
    if (!workers.length) this.workers.replaceChildren(h("p", { class: "hint" }, "No worker is here. Start one with ", h("code", {}, "mesh worker"), "."));
    else this.workers.querySelector(".hint")?.remove();
    const here = new Set(workers.map(({ name }) => name));
    for (const [name, card] of this.#charts) if (!here.has(name)) (card.element.remove(), this.#charts.delete(name));
    for (const worker of workers) {
      if (!this.#charts.has(worker.name)) this.#charts.set(worker.name, new Card(worker.name, this.workers));
      this.#charts.get(worker.name).show(worker, at, operator);
    }
  }

  #requests({ requests, unfinished, at }) {
    this.nothing.hidden = requests.length > 0;
    this.table.hidden = !requests.length;
    this.requestsTitle.textContent = unfinished > requests.length ? `Requests, the oldest ${requests.length} of ${unfinished}` : "Requests";
    update(this.requests, requests.map((request, index) => [request.rid ?? index, request]), (request) => [
      h("td", {}, request.chat_id ? h("a", { href: `#/chat/${request.chat_id}` }, "your chat") : request.mine ? "yours" : "somebody’s", h("small", {}, ` ${request.model}`)),
      h("td", {}, h("span", { class: `badge ${request.state}` }, request.state), request.attempts > 1 && h("small", {}, ` taken over`)),
      h("td", {}, seconds(Math.max(0, at - request.created))), h("td", {}, request.worker ?? "–"),
      h("td", {}, request.rid && request.state !== "stopping" && h("button", { type: "button", "aria-label": "Cancel this request", onclick: (event) => this.#cancel(event.target, request) }, "Cancel")),
    ]);
  }

  async #cancel(button, { rid }) {
    button.disabled = true;
    try {
      await post(`/mesh/requests/${rid}/cancel`);
    } catch (error) {
      button.disabled = false;
      this.refused(`The request could not be cancelled: ${error.message}`);
    }
  }
}

/** One worker: how busy, how fast, and a way to send it away. */
class Card {
  constructor(name, parent) {
    this.name = name;
    this.chart = new Chart(`Tokens per second of ${name}`);
    this.slots = h("div", { class: "slots" });
    this.state = h("span", { class: "badge" });
    this.about = h("p", {});
    this.numbers = h("p", { class: "numbers" });
    this.drain = h("button", { type: "button", onclick: () => this.#drain() }, "Drain");
    this.element = h("article", { class: "worker", "aria-label": `Worker ${name}` }, h("header", {}, h("h3", {}, name), this.state, this.drain), this.about, this.chart.element, this.slots, this.numbers);
    parent.append(this.element);
  }

  show(worker, now, operator) {
    const { models, hardware, slots, running, speed, draining, started } = worker;
    this.chart.push(speed);
    this.state.textContent = draining ? "draining" : running ? "busy" : "idle";
    this.state.className = `badge ${draining ? "stopping" : running ? "running" : ""}`;
    this.about.textContent = [models.join(", "), hardware].filter(Boolean).join(" · ");
    this.numbers.textContent = `${running} of ${count(slots, "slot")} · ${Math.round(speed)} tokens/s · up ${seconds(Math.max(0, now - started))}`;
    this.drain.hidden = !operator || draining;
    const shown = Math.min(slots, 32);
    while (this.slots.childElementCount < shown) this.slots.append(h("i"));
    [...this.slots.children].forEach((slot, at) => slot.classList.toggle("full", at < Math.ceil((running / slots) * shown)));
  }

  #drain() {
    const grace = h("input", { type: "number", name: "grace", min: 0, max: 86400, step: 1, value: 30, required: true });
    const content = [h("p", {}, `${this.name} takes no new requests, finishes its answers or hands them to another worker, and leaves. Readers notice nothing but a pause.`), field("Seconds in which it may finish them", grace)];
    dialog(`Drain ${this.name}?`, content, "Drain", (data) => post(`/workers/${encodeURIComponent(this.name)}/drain`, { grace: Number(data.get("grace")) }));
  }
}

function scrolling(columns, body, kind = "") {
  return h("div", { class: `table ${kind}`, tabindex: "0" }, h("table", {}, h("thead", {}, h("tr", {}, columns.map((name) => h("th", { scope: "col" }, name)))), body));
}

/** Rows by key: those that are there keep their place in the document, and the focus within. */
function update(body, items, cells) {
  const old = new Map([...body.children].map((row) => [row.dataset.key, row]));
  const rows = items.map(([key, item]) => {
    const state = JSON.stringify(item);
    const row = old.get(String(key)) ?? h("tr", { "data-key": key });
    const focused = row.contains(document.activeElement);
    if (row.dataset.item !== state || !focused) {
      const made = cells(item);
      if (!focused) row.replaceChildren(...made);
      else made.slice(0, -1).forEach((cell, at) => row.children[at].replaceWith(cell));
    }
    return row;
  });
  for (const [key, row] of old) if (!items.some(([each]) => String(each) === key)) row.remove();
  rows.forEach((row, at) => body.children[at] !== row && body.insertBefore(row, body.children[at] ?? null));
}

const WORDS = { queued: "asked", claim: "taken", cancel: "to be stopped", done: "answered", failed: "failed", cancelled: "stopped", started: "came", stopped: "left", lost: "was lost" };

/** One line of what happened. */
function happening({ at, what, mine, worker, model, attempt, tokens, first_token: first, generate, code, detail }) {
  const fleet = ["started", "stopped", "lost"].includes(what);
  const said = [
    fleet ? worker : worker && `by ${worker}`,
    model,
    attempt > 1 && `attempt ${attempt}`,
    code,
    tokens && count(tokens, "token"),
    first != null && `first after ${seconds(first)}`,
    generate > 0 && `in ${seconds(generate)}`,
    detail,
  ];
  return h("li", { class: what }, h("time", { datetime: new Date(at * 1000).toISOString() }, clock(at)), h("b", {}, WORDS[what] ?? what), h("span", {}, said.filter(Boolean).join(" · "), mine && h("em", {}, " yours")));
}
