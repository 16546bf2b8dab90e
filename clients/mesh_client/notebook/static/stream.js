// An answer as it is written, its Stop button, and a place to type the next question.
//
// What is to be seen is `shown` in the model's state; between two of its keyframes the kernel sends
// what has changed. Stop asks the gateway itself, with a cancel token that works once, because a
// busy kernel does not listen; where the gateway cannot be reached from here, the kernel is asked.

const PAGE = (globalThis.__mesh_page ??= Math.random().toString(36).slice(2));
const LONG_NODE = 4000;
const GATEWAY_PATIENCE_MS = 1500;
const KERNEL_PATIENCE_MS = 1200;

const make = (tag, name, properties = {}) =>
  Object.assign(document.createElement(tag), { className: `mesh-${name}` }, properties);

class Stream {
  // The text, appended to and never drawn anew while it only grows.
  constructor() {
    this.node = make("div", "text", { dir: "auto" });
    this.node.setAttribute("role", "log");
    this.clear();
  }

  clear() {
    this.key = "";
    this.text = "";
    this.pieces = 0;
    this.node.replaceChildren();
  }

  append(text, pieces) {
    const follows = this.node.scrollHeight - this.node.scrollTop - this.node.clientHeight < 8;
    const last = this.node.lastChild;
    if (last && last.textContent.length < LONG_NODE) last.firstChild.appendData(text);
    else this.node.append(make("span", "part", { textContent: text }));
    this.text += text;
    this.pieces = pieces;
    if (follows) this.node.scrollTop = this.node.scrollHeight;
  }

  take(shown) {
    // A keyframe: append what is new; begin anew where it is another answer.
    if (shown.key !== this.key || !shown.text.startsWith(this.text)) {
      this.clear();
      this.key = shown.key;
    }
    const rest = shown.text.slice(this.text.length);
    if (rest && shown.pieces >= this.pieces) this.append(rest, shown.pieces);
  }

  add({ key, from, to, text }) {
    // A part: what is missing before it comes with the next keyframe.
    if (key !== this.key && from === 0) {
      this.clear();
      this.key = key;
    }
    if (key === this.key && from === this.pieces && text) this.append(text, to);
  }
}

async function markdown(model, text) {
  // With the page's own renderer, as the notebook shows its Markdown; else as it is.
  const registry = model.widget_manager?.rendermime;
  if (registry) {
    try {
      const renderer = registry.createRenderer("text/markdown");
      await renderer.renderModel(registry.createModel({ data: { "text/markdown": text } }));
      return renderer.node;
    } catch (error) {
      console.warn("mesh: this page's Markdown renderer failed", error);
    }
  }
  return make("div", "text", { textContent: text, dir: "auto" });
}

function render({ model, el }) {
  const root = make("div", "stream");
  // Keys typed here are text, not shortcuts of the notebook; saving it still is one.
  const mind = (event) => {
    if (!root.contains(event.target)) return;
    const saves = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "s";
    if (saves) delete root.dataset.lmSuppressShortcuts;
    else root.dataset.lmSuppressShortcuts = "true";
  };
  window.addEventListener("keydown", mind, true); // before the page's own listeners
  root.dataset.jpSuppressContextMenu = "true";
  const turns = make("div", "turns");
  const question = make("div", "question", { dir: "auto" });
  const stream = new Stream();
  const status = make("span", "status");
  status.setAttribute("role", "status");
  const stop = make("button", "stop", { type: "button", textContent: "Stop" });
  stop.title = "Stop this answer";
  const line = make("div", "line");
  line.append(status, stop);
  const input = make("textarea", "input", { rows: 1, dir: "auto" });
  input.placeholder = "Ask something …";
  input.setAttribute("aria-label", "Your question");
  const send = make("button", "send", { type: "button", textContent: "Send" });
  const composer = make("div", "composer");
  composer.append(input, send);
  root.append(turns, question, stream.node, line, composer);
  el.append(root);

  let shown = { ...model.get("shown") };
  let said = ""; // what this page says itself, while nobody else knows
  let busy = false; // and only because the kernel does not listen
  let timer = 0;
  let sending = false;

  const running = () => shown.phase !== "idle" && shown.phase !== "ended";

  function draw() {
    question.textContent = shown.question;
    question.hidden = !shown.question;
    stream.node.hidden = !stream.text;
    stream.node.classList.toggle("mesh-writing", shown.phase === "answering");
    status.textContent = said || shown.status;
    status.dataset.tone = said ? "" : shown.tone;
    stop.hidden = !running();
    line.hidden = stop.hidden && !status.textContent;
    composer.hidden = !model.get("composer");
    input.readOnly = sending;
    send.disabled = sending || running() || !input.value.trim();
    root.dataset.phase = shown.phase;
  }

  function fit() {
    input.style.height = "auto";
    input.style.height = `${Math.min(input.scrollHeight + 2, 240)}px`;
  }

  function keyframe() {
    shown = { ...model.get("shown") };
    stream.take(shown);
    heard();
  }

  function heard() {
    if (sending && (running() || shown.phase === "ended" || shown.status)) {
      sending = false;
      said = "";
      clearTimeout(timer);
    }
    if (!running() && busy) {
      busy = false;
      said = "";
    }
    if (!running() && stop.dataset.state) {
      delete stop.dataset.state;
      stop.textContent = "Stop";
      stop.disabled = false;
    }
    draw();
  }

  function part(message) {
    const change = message.draw;
    if (!change) return;
    Object.assign(shown, change.shown);
    if (change.part) stream.add(change.part);
    if (shown.phase === "idle") stream.clear();
    heard();
  }

  // --- stopping -----------------------------------------------------------------------------------

  async function byGateway() {
    // True once the worker has stopped; false where only the kernel can say so.
    if (!shown.gateway || !shown.cancel_token) return false;
    const began = performance.now();
    try {
      const response = await fetch(`${shown.gateway}/cancel`, {
        method: "POST",
        headers: { "Content-Type": "text/plain" }, // no preflight
        body: JSON.stringify({ cancel_token: shown.cancel_token }),
        credentials: "omit",
        signal: AbortSignal.timeout(GATEWAY_PATIENCE_MS),
      });
      if (response.status === 422) return true; // it has ended, or is being stopped
      if (!response.ok) return false;
      const { cancelled, tokens } = await response.json();
      const ms = Math.round(performance.now() - began);
      if (cancelled) said = `stopped after ${tokens} tokens (freed in ${ms} ms)`;
      return true;
    } catch {
      return false;
    }
  }

  async function stopIt() {
    if (stop.dataset.state === "interrupt") {
      said = "interrupting the cell that keeps the kernel busy …";
      draw();
      await model.widget_manager.kernel.interrupt();
      return;
    }
    stop.dataset.state = "stopping";
    stop.textContent = "Stopping …";
    stop.disabled = true;
    const done = await byGateway();
    draw();
    if (done) {
      setTimeout(() => ((said = ""), draw()), 6000);
      return;
    }
    model.send({ stop: true });
    setTimeout(() => {
      if (!running() || !model.widget_manager?.kernel) return;
      stop.dataset.state = "interrupt";
      stop.textContent = "Interrupt the kernel";
      stop.disabled = false;
      busy = true;
      said = "the kernel is busy and the gateway cannot be reached from this page";
      draw();
    }, KERNEL_PATIENCE_MS);
  }

  // --- asking -------------------------------------------------------------------------------------

  function sendIt() {
    const text = input.value;
    if (send.disabled) return;
    keep();
    sending = true;
    said = "sending …";
    timer = setTimeout(() => {
      said = "the kernel is busy; the question is sent as soon as it is free";
      draw();
    }, KERNEL_PATIENCE_MS);
    draw();
    model.send({ send: text });
  }

  function keep() {
    // What is typed belongs to the kernel too, so that a reload does not lose it.
    model.set("draft", input.value);
    model.save_changes();
  }

  let keeping = 0;
  input.addEventListener("input", () => {
    fit();
    draw();
    clearTimeout(keeping);
    keeping = setTimeout(keep, 400);
  });
  input.addEventListener("blur", () => input.value !== model.get("draft") && keep());
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      sendIt();
    } else if (event.key === "Escape" && running()) {
      stopIt();
    }
  });
  send.addEventListener("click", sendIt);
  stop.addEventListener("click", stopIt);

  async function drawTurns() {
    const nodes = await Promise.all(model.get("turns").map((turn) => markdown(model, turn)));
    turns.replaceChildren(...nodes);
  }

  function drafted() {
    sending = false;
    clearTimeout(timer);
    if (said.startsWith("sending") || said.startsWith("the kernel is busy; the q")) said = "";
    if (input.value !== model.get("draft")) input.value = model.get("draft");
    fit();
    draw();
  }

  model.on("change:shown", keyframe);
  model.on("msg:custom", part);
  model.on("change:draft", drafted);
  model.on("change:turns", drawTurns);
  input.value = model.get("draft");
  drawTurns();
  keyframe();
  requestAnimationFrame(fit);
  model.send({ page: PAGE });
  return () => {
    model.off("change:shown", keyframe);
    model.off("msg:custom", part);
    model.off("change:draft", drafted);
    model.off("change:turns", drawTurns);
    clearTimeout(timer);
    clearTimeout(keeping);
    window.removeEventListener("keydown", mind, true);
  };
}

export default { render };
