// Links to a chat: made, shown, copied and taken back in a dialog.

import { get, post, remove } from "./api.js";
import { dialog } from "./dialogs.js";
import { copyButton, h, iconButton } from "./dom.js";

const EXPLAINED = "Who has a link can read this chat as it was when the link was made, without an account, and nothing else.";

function row(route, share) {
  const url = new URL(share.path, location.href).href;
  const trouble = h("p", { class: "trouble", role: "alert", hidden: true });
  const takeBack = async () => {
    try {
      await remove(`${route}/${share.id}`);
      element.remove();
    } catch (error) {
      trouble.textContent = error.message;
      trouble.hidden = false;
    }
  };
  const element = h("div", {},
    h("div", { class: "buttons" },
      h("input", { readonly: true, value: url, "aria-label": "Link", onfocus: (event) => event.target.select() }),
      copyButton("Copy the link", () => url), iconButton("close", "Take back", takeBack)),
    trouble);
  return element;
}

/** Show the links to a chat, and make more. Raises Refusal, Unreachable. */
export async function share(chat) {
  const route = `/chats/${chat.id}/shares`;
  for (let again = true; again;) {
    const { shares } = await get(route);
    const content = [h("p", {}, EXPLAINED), ...shares.map((share) => row(route, share))];
    again = await dialog("Share this chat", content, "Make a link", () => post(route));
  }
}
