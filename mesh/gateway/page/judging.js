// What a reader thinks of an answer: votes, which of several is best, and reports.

import { get, post } from "./api.js";
import { dialog, field } from "./dialogs.js";
import { h, say } from "./dom.js";

const KINDS = [["feedback", "Something to improve"], ["offensive", "It is offensive"], ["spam", "It is spam"]];
const VOTES = { "-1": "A bad answer.", 0: "No vote.", 1: "A good answer." };

/** Score an answer -1, 0 or 1. */
export async function vote(chatId, answer, score) {
  await post(`/chats/${chatId}/messages/${answer.message.id}/votes`, { score });
  answer.message = { ...answer.message, score };
  say(VOTES[score]);
}

const others = ({ id }, tree) => tree.siblings(id).filter((each) => each !== id);

/** Whether its reader found an answer better than all others to its question; null: there are none. */
export function best(message, tree) {
  const worse = others(message, tree);
  return worse.length ? worse.every((id) => message.inferior_message_ids?.includes(id)) : null;
}

/** Say that an answer is the best of those to its question, or take that back. */
export async function prefer(chatId, answer, tree) {
  const { message } = answer;
  const worse = best(message, tree) ? [] : others(message, tree);
  await post(`/chats/${chatId}/messages/${message.id}/message_evals`, { inferior_message_ids: worse });
  answer.message = { ...message, inferior_message_ids: worse };
  for (const other of worse.map((id) => tree.get(id))) tree.add({ ...other, inferior_message_ids: other.inferior_message_ids?.filter((id) => id !== message.id) });
  say(worse.length ? "The best of them." : "None is the best of them.");
}

/** Ask what is wrong with an answer, and report it. */
export async function report(chatId, answer) {
  const path = `/chats/${chatId}/messages/${answer.message.id}`;
  const content = [
    field("What is wrong with it?", h("select", { name: "report_type" }, KINDS.map(([value, label]) => h("option", { value }, label)))),
    field("In your words", h("textarea", { name: "reason", rows: "4", maxlength: "4000" })),
  ];
  const send = async (data) => {
    await post(`${path}/reports`, Object.fromEntries(data));
    answer.message = await get(path);
  };
  if (await dialog("Report this answer", content, "Report", send)) say("Reported.");
}
