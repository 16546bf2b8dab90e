// How answers are to be made: model, parameters, instructions. Kept per chat; a new chat begins with
// what was chosen last. Instructions about oneself hold for all chats.

import { get } from "./api.js";
import { dialog, field, tick } from "./dialogs.js";
import { h, iconButton } from "./dom.js";
import { keep, kept } from "./keep.js";

const LAST = "options", ABOUT = "about";
const NUMBERS = [
  ["temperature", "Temperature", { min: 0, max: 5, step: 0.05 }],
  ["top_p", "Top p", { min: 0, max: 1, step: 0.01 }],
  ["top_k", "Top k", { min: 0, step: 1 }],
  ["typical_p", "Typical p", { min: 0, max: 1, step: 0.01 }],
  ["repetition_penalty", "Repetition penalty", { min: 0.1, max: 10, step: 0.01 }],
  ["max_new_tokens", "Longest answer, in tokens", { min: 1, step: 1 }],
];

/** {model, preset, parameters, system, drafts} of a chat. */
export const optionsOf = (chatId) => kept(`options.${chatId}`) ?? kept(LAST) ?? {};

export function keepOptions(chatId, options) {
  keep(LAST, options);
  if (chatId) keep(`options.${chatId}`, options);
}

/** {profile, wishes, titles}: what holds for all chats. */
export const about = () => ({ profile: "", wishes: "", titles: true, ...kept(ABOUT) });

/** What goes into the body of a request for an answer. */
export function answerOptions(chatId) {
  const { model, parameters = {}, system } = optionsOf(chatId);
  const { profile, wishes } = about();
  const body = { sampling_parameters: parameters };
  if (model) body.model_config_name = model;
  if (system) body.system_prompt = system;
  if (profile) body.user_profile = profile;
  if (wishes) body.user_response_instructions = wishes;
  return body;
}

/** The model of a chat to choose from, and a button for all the rest. */
export class Choice {
  #picker = h("span", { class: "picker" });
  #known = [];
  chatId = null;

  elements = [this.#picker, iconButton("sliders", "How to answer", () => this.#edit())];

  /** Show what was chosen for a chat; null: for a new one. */
  async open(chatId) {
    this.chatId = chatId;
    try {
      this.#known = await models();
    } catch {
      return; // what is missing is said where a question is asked
    }
    const choose = (event) => keepOptions(this.chatId, { ...optionsOf(this.chatId), model: event.target.value });
    this.#picker.replaceChildren(modelPicker(this.#known, optionsOf(this.chatId).model, { "aria-label": "Model", onchange: choose }));
  }

  async #edit() {
    if (!this.#known.length) await this.open(this.chatId);
    if (await editOptions(this.chatId, this.#known)) this.open(this.chatId);
  }
}

/** The models of the mesh: {name, presets, available, context}. */
async function models() {
  const [configs, listed] = await Promise.all([get("/configs/model_configs"), get("/v1/models")]);
  const served = new Map(listed.data.map((model) => [model.id, model]));
  return configs.map(({ name, parameter_configs: presets }) => ({
    name, presets, available: served.get(name)?.available ?? false, context: served.get(name)?.context_length ?? null,
  }));
}

/** Ask how the answers of a chat are to be made; resolves to true if something was chosen. */
async function editOptions(chatId, known) {
  const options = optionsOf(chatId);
  const me = about();
  const inputs = Object.fromEntries(NUMBERS.map(([name, , limits]) => [name, h("input", { type: "number", name, inputmode: "decimal", placeholder: name === "max_new_tokens" ? "1024" : "the model's own", ...limits, value: options.parameters?.[name] ?? "" })]));
  const model = modelPicker(known, options.model, { name: "model" });
  const presets = () => (known.find(({ name }) => name === model.value) ?? known[0])?.presets ?? [];
  const choose = (event) => {
    const preset = presets().find(({ name }) => name === event.target.value);
    for (const [name, input] of Object.entries(inputs)) input.value = preset?.sampling_parameters[name] ?? "";
  };
  const preset = h("select", { name: "preset", onchange: choose }, h("option", { value: "" }, "None: as below"),
    presets().map(({ name, description }) => h("option", { value: name, selected: name === options.preset }, `${name}: ${description}`)));
  const area = (name, value, hint) => h("textarea", { name, rows: "3", placeholder: hint, value: value ?? "" });
  const content = [
    h("section", {}, h("h3", {}, "This chat"),
      field("Model", model),
      field("System prompt", area("system", options.system, "You are …")),
      field("Answers to one question", h("input", { type: "number", name: "drafts", min: 1, max: 4, step: 1, value: options.drafts ?? 1 }), "More than one gives drafts to choose from.")),
    h("section", {}, h("h3", {}, "Parameters"), field("Preset", preset),
      h("div", { class: "grid" }, NUMBERS.map(([name, label]) => field(label, inputs[name])))),
    h("section", {}, h("h3", {}, "All chats"),
      field("About you", area("profile", me.profile, "What the model should know of you")),
      field("How you want to be answered", area("wishes", me.wishes, "Short, in metric units, …")),
      tick("titles", "Let the model give new chats a title", me.titles)),
  ];
  const data = await dialog("How to answer", content, "Save");
  if (!data) return false;
  const number = (name) => (data.get(name) === "" ? undefined : Number(data.get(name)));
  const parameters = Object.fromEntries(NUMBERS.map(([name]) => [name, number(name)]).filter(([, value]) => value !== undefined));
  keepOptions(chatId, { model: data.get("model"), preset: data.get("preset"), parameters, system: data.get("system").trim(), drafts: number("drafts") ?? 1 });
  keep(ABOUT, { profile: data.get("profile").trim(), wishes: data.get("wishes").trim(), titles: data.has("titles") });
  return true;
}

/** A list of the models to choose from; those that nobody serves now say so. */
function modelPicker(known, chosen, attributes) {
  const gone = chosen && !known.some(({ name }) => name === chosen);
  return h("select", attributes, h("option", { value: "" }, "Any model"),
    gone && h("option", { value: chosen, selected: true }, `${chosen} (gone)`),
    known.map(({ name, available }) => h("option", { value: name, selected: name === chosen }, available ? name : `${name} (no worker)`)));
}
