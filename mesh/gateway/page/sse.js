// Server-Sent Events out of a stream of text: a pure decoder (HTML standard, section 9.2.6). No I/O.

/** Feed it text as it comes; it returns the events that are complete: {id, data}. */
export class Decoder {
  #rest = "";
  #data = [];
  #id = "";

  feed(text) {
    const events = [];
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    for (const line of lines) {
      if (line) this.#field(line);
      else this.#dispatch(events);
    }
    return events;
  }

  #field(line) {
    const at = line.indexOf(":");
    if (at === 0) return;
    const name = at < 0 ? line : line.slice(0, at);
    const value = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
    if (name === "data") this.#data.push(value);
    else if (name === "id" && !value.includes("\0")) this.#id = value;
  }

  #dispatch(events) {
    if (this.#data.length) events.push({ id: this.#id, data: this.#data.join("\n") });
    this.#data = [];
  }
}
