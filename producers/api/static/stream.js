// The live state, read from an answer that never ends: EventSource could not send the key.

import { ask, KeyRefused, restOf } from "./door.js";

const SILENCE_MS = 40_000; // the server says something every 15 s
const FIRST_REST_S = 0.5;
const LONGEST_REST_S = 30;

/** Yield the events of an answer as {name, data}; comments are {name: ""}. */
async function* eventsOf(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const pieces = (held + value).split("\n\n");
    held = pieces.pop();
    for (const piece of pieces) {
      const found = /^event: (\w+)\ndata: (.*)$/s.exec(piece);
      yield found ? { name: found[1], data: JSON.parse(found[2]) } : { name: "" };
    }
  }
}

/** Follows /v1/live, and takes it up again whenever it ends. */
export class Stream {
  #tell;
  #cut = null;
  #timer = 0;
  #rest_s = FIRST_REST_S;
  #wanted = false;
  #lost = "";

  /** @param {Object} tell Functions: event(name, data), link(state, sentence), refused(), forbidden(). */
  constructor(tell) {
    this.#tell = tell;
    // A browser has six connections to one server: a tab nobody sees must not keep one of them.
    document.addEventListener("visibilitychange", () => this.#wanted && (document.hidden ? this.#drop() : this.now()));
    window.addEventListener("online", () => this.#wanted && this.now());
  }

  /** Begin, or try again at once. */
  now() {
    this.#drop();
    this.#wanted = true;
    this.#follow();
  }

  /** End. */
  stop() {
    this.#wanted = false;
    this.#lost = "";
    this.#drop();
  }

  #drop() {
    clearInterval(this.#timer);
    this.#cut?.abort();
    this.#cut = null;
  }

  async #follow() {
    const cut = (this.#cut = new AbortController());
    // What was lost is lost until it is there again, however long this try takes.
    if (this.#lost) this.#tell.link("lost", `${this.#lost}. Trying again…`);
    else this.#tell.link("connecting", "Connecting…");
    try {
      const answer = await ask("v1/live", { signal: cut.signal });
      if (answer.ok) await this.#read(answer, cut);
      else this.#refused(answer, cut);
    } catch (error) {
      if (cut !== this.#cut) return;
      if (error instanceof KeyRefused) this.#tell.refused();
      else this.#rest("The connection is lost");
    }
  }

  async #read(answer, cut) {
    const watch = () => setTimeout(() => cut.abort(), SILENCE_MS);
    let silence = watch();
    try {
      for await (const { name, data } of eventsOf(answer)) {
        if (cut !== this.#cut) return;
        clearTimeout(silence);
        silence = watch();
        if (name === "revoked") return this.#tell.refused();
        if (name === "jobs") this.#isWell(data.standstill);
        if (name === "trouble") this.#tell.link("lost", "The server cannot reach its Redis: what is shown may be old");
        if (name) this.#tell.event(name, data);
      }
    } finally {
      clearTimeout(silence);
    }
    if (cut === this.#cut) this.#rest("The server has ended the connection");
  }

  /** There is an answer: say whether calls begin, which is all that "live" means to whoever dials. */
  #isWell(standstill) {
    this.#rest_s = FIRST_REST_S;
    this.#lost = "";
    if (!standstill) this.#tell.link("live", "Live");
    else this.#tell.link("still", `${standstill.everywhere ? "Not dialing" : "Dialing in part"}: ${standstill.sentence}`);
  }

  #refused(answer, cut) {
    if (cut !== this.#cut) return;
    if (answer.status === 403) this.#tell.forbidden();
    else if (answer.status === 429) this.#rest("This key has sent too many requests", restOf(answer, 10));
    else if (answer.status === 503) this.#rest("The server cannot answer now", restOf(answer, 5));
    else this.#rest(`The server answers with an error (${answer.status})`);
  }

  #rest(why, atLeast_s = 0) {
    this.#lost = why;
    // Many pages that lost the same server must not all come back at once.
    const until = Date.now() + 1000 * Math.max(atLeast_s, this.#rest_s * (0.75 + Math.random() / 2));
    this.#rest_s = Math.min(this.#rest_s * 2, LONGEST_REST_S);
    const count = () => {
      const left_s = Math.ceil((until - Date.now()) / 1000);
      if (left_s <= 0) this.now();
      else this.#tell.link("lost", `${why}. Trying again in ${left_s} s`);
    };
    clearInterval(this.#timer);
    this.#timer = setInterval(count, 250);
    count();
  }
}
