// The tree of a chat's messages: answers hang under questions, questions under answers. Pure.

/** All messages of a chat and the branch that is looked at, from its first message to its last. */
export class Tree {
  #messages = new Map();
  #children = new Map();

  constructor(messages = [], tail = null) {
    this.tail = null;
    messages.forEach((message) => this.add(message));
    this.show(tail ?? newest(messages)?.id ?? null);
  }

  get(id) {
    return this.#messages.get(id);
  }

  /** Take in a message, or what is new of one that is there. */
  add(message) {
    if (!this.#messages.has(message.id)) {
      const siblings = this.#children.get(message.parent_id) ?? [];
      siblings.push(message.id);
      this.#children.set(message.parent_id, siblings);
    }
    this.#messages.set(message.id, message);
  }

  /** The messages that answer, or reply to, the same one, oldest first, this one among them. */
  siblings(id) {
    return this.#children.get(this.get(id).parent_id);
  }

  /** Look at the branch that leads through this message to its newest leaf. */
  show(id) {
    let leaf = this.#messages.has(id) ? id : null;
    for (let below; leaf && (below = this.#children.get(leaf)); ) leaf = below.at(-1);
    this.tail = leaf;
  }

  /** The messages of the branch that is looked at, first to last. */
  path() {
    const found = [];
    for (let at = this.get(this.tail); at; at = this.get(at.parent_id)) found.push(at);
    return found.reverse();
  }
}

function newest(messages) {
  return messages.reduce((best, message) => (best && best.created_at > message.created_at ? best : message), null);
}
