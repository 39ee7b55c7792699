// The list of the last jobs: rows stay the same elements, so that a button keeps its focus while all around changes.

import { ask, KeyRefused, problemOf } from "./door.js";
import { element, one } from "./elements.js";

const WORDS = {
  waiting: "Waiting",
  released: "Next",
  claimed: "Dialing",
  placed: "Placed",
  failed: "Failed",
  unknown: "Unknown",
  cancelled: "Cancelled",
  expired: "Expired",
  refused: "Refused",
};
// What there is to say while nothing came of a job.
const MEANINGS = {
  waiting: "Waits for its turn",
  released: "Goes next",
  claimed: "The extension is being called",
  cancelled: "Withdrawn before any call",
  expired: "Its time ran out before any call",
};
const MAY_BE_CANCELLED = ["waiting", "released"];
const EXPECTED_MS = 10_000;
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const short = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

function ago(moment) {
  const seconds = Math.max(0, Math.round((Date.now() - moment) / 1000));
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return short.format(moment);
}

// What only a person ends, or nobody can foresee, is said first; all else is the job's turn.
const WAITS_FOR_ITS_TURN = ["due", "login", "slot", "extension", "lane", "lines", "workers_full", "permit", "round", "placing"];

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** Return what keeps a job from being dialed though its turn may come, as a sentence; "" if nothing does. */
export function standsInTheWay(job) {
  const { obstacle } = job;
  return obstacle && !WAITS_FOR_ITS_TURN.includes(obstacle.kind) ? capital(obstacle.sentence) : "";
}

/** Return what became of a job, as one or two lines: {main, isId, more}. */
function story(job) {
  const cause = [job.errno, job.error].filter(Boolean).join(": ");
  const tries = job.attempts > 1 ? `${job.attempts} attempts` : "";
  const inTheWay = standsInTheWay(job);
  if (inTheWay) return { main: inTheWay, more: [job.obstacle.advice && capital(job.obstacle.advice), cause].filter(Boolean).join("; ") };
  switch (job.state) {
    case "placed":
      if (job.callid) return { main: job.callid, label: "Call id", more: tries };
      return { main: job.outboundid || "", label: "Outbound call", more: tries };
    case "unknown":
      return { main: "It may have rung, so it is not dialed again.", more: cause };
    case "waiting":
      return { main: cause ? "To be tried again" : MEANINGS.waiting, more: job.obstacle ? capital(job.obstacle.sentence) : cause };
    default:
      return { main: cause || MEANINGS[job.state] || "", more: tries };
  }
}

class Row {
  constructor(cancel) {
    this.state = element("span", { class: "state" });
    this.extid = element("span", { role: "cell", class: "extid" });
    this.pbx = element("span", { role: "cell", class: "pbx" });
    this.time = element("time");
    this.story = element("span", { role: "cell", class: "story" });
    this.button = element("button", { type: "button", class: "quiet", text: "Cancel" });
    this.button.addEventListener("click", () => cancel(this));
    this.action = element("span", { role: "cell", class: "action" });
    this.element = element(
      "div",
      { role: "row", class: "row" },
      element("span", { role: "cell" }, this.state),
      this.extid,
      this.pbx,
      element("span", { role: "cell", class: "when" }, this.time),
      this.story,
      this.action,
    );
    this.complaint = "";
  }

  show(job, mayCancel) {
    const cancellable = mayCancel && MAY_BE_CANCELLED.includes(job.state);
    const shown = JSON.stringify([job, cancellable, this.complaint]);
    if (shown === this.shown) return;
    this.shown = shown;
    this.job = job;
    this.state.textContent = WORDS[job.state] || job.state;
    this.state.dataset.is = WORDS[job.state] ? job.state : "waiting";
    this.extid.textContent = job.extid || "–";
    this.pbx.textContent = job.pbx || "–";
    this.moment = Date.parse(job.enqueued_at);
    this.time.dateTime = job.enqueued_at;
    this.time.title = full.format(this.moment);
    this.tick();
    this.story.replaceChildren(...this.#lines(job));
    this.button.setAttribute("aria-label", `Cancel the job of extension ${job.extid}`);
    if (cancellable && !this.button.isConnected) this.action.append(this.button);
    if (!cancellable) this.button.remove();
  }

  tick() {
    const text = ago(this.moment);
    if (this.time.textContent !== text) this.time.textContent = text;
  }

  #lines(job) {
    const { main, label, more } = story(job);
    const lines = [];
    if (main) {
      const text = label ? element("code", { text: main }) : main;
      const isCalm = main === MEANINGS[job.state];
      lines.push(element("span", { class: isCalm ? "main-line muted" : "main-line" }, label ? element("span", { class: "label", text: label }) : null, text));
    }
    if (more) lines.push(element("span", { class: "more", text: more }));
    if (this.complaint) lines.push(element("span", { class: "more bad", role: "alert", text: this.complaint }));
    const facts = Object.entries(job.metadata || {}).map(([name, value]) =>
      element("span", { class: "fact", title: `${name}: ${value}` }, element("span", { class: "label", text: name }), String(value)),
    );
    if (facts.length) lines.push(element("span", { class: "facts" }, ...facts));
    return lines;
  }
}

/** The list, and what the page knows of the key that looks at it. */
export class JobList {
  #rows = new Map();
  #told = [];
  #expected = new Map();
  #mine = new Map();
  #mayCancel = false;
  #onRefused;
  #hasLooked = false;
  #mayLook = true;

  /** @param {function} onRefused Called when the key is not taken any more. */
  constructor(onRefused) {
    this.#onRefused = onRefused;
    setInterval(() => this.#rows.forEach((row) => row.tick()), 1000);
  }

  /** Forget all jobs. */
  clear() {
    this.#told = [];
    this.#expected.clear();
    this.#mine.clear();
    this.#hasLooked = false;
    this.#mayLook = true;
    this.#draw();
    one("empty").hidden = one("none").hidden = true;
  }

  /** Take note of what the key may do. */
  allow(scopes) {
    this.#mayCancel = scopes.includes("enqueue") || scopes.includes("operate");
    this.#draw();
  }

  /** Say that the key may not look. */
  forbid() {
    this.clear();
    this.#mayLook = false;
    one("none").hidden = false;
  }

  /** Show a list of jobs as the server told it. */
  show(jobs) {
    this.#hasLooked = true;
    this.#told = jobs;
    for (const job of jobs) this.#expected.delete(job.job_id);
    this.#draw();
    this.#announce(jobs);
  }

  /** Show a job that was just handed in, before the server's next list has it. */
  expect(job) {
    this.#mine.set(job.job_id, job.state);
    if (!this.#mayLook || this.#told.some((told) => told.job_id === job.job_id)) return;
    this.#expected.set(job.job_id, { ...job, until: Date.now() + EXPECTED_MS });
    this.#draw();
  }

  #draw() {
    for (const [id, job] of this.#expected) if (job.until < Date.now()) this.#expected.delete(id);
    const jobs = [...[...this.#expected.values()].reverse(), ...this.#told];
    const table = one("jobs");
    const ids = new Set(jobs.map((job) => job.job_id));
    for (const [id, row] of this.#rows) {
      if (ids.has(id)) continue;
      row.element.remove();
      this.#rows.delete(id);
    }
    let before = table.firstElementChild;
    for (const job of jobs) {
      const row = this.#rows.get(job.job_id) || new Row((pressed) => this.#cancel(pressed));
      this.#rows.set(job.job_id, row);
      row.show(job, this.#mayCancel);
      // Only what is out of place moves, for an element that moves loses the focus.
      if (before.nextElementSibling !== row.element) before.after(row.element);
      before = row.element;
    }
    table.hidden = jobs.length === 0;
    if (this.#hasLooked) one("empty").hidden = jobs.length > 0;
  }

  #announce(jobs) {
    for (const job of jobs) {
      const before = this.#mine.get(job.job_id);
      if (before === undefined || before === job.state) continue;
      this.#mine.set(job.job_id, job.state);
      const { main } = story(job);
      one("news").textContent = `Extension ${job.extid}: ${WORDS[job.state] || job.state}. ${main}`;
    }
  }

  async #cancel(row) {
    const id = row.job.job_id;
    row.button.setAttribute("aria-disabled", "true");
    row.complaint = "";
    try {
      const answer = await ask(`v1/dial-jobs/${encodeURIComponent(id)}:cancel`, { method: "POST" });
      if (answer.ok) this.#replace(await answer.json());
      else row.complaint = (await problemOf(answer)).detail || `The server answers with an error (${answer.status})`;
    } catch (error) {
      if (error instanceof KeyRefused) return this.#onRefused();
      row.complaint = "No answer came; try again.";
    } finally {
      row.button.removeAttribute("aria-disabled");
    }
    this.#draw();
  }

  #replace(job) {
    this.#mine.set(job.job_id, "waiting");
    this.#told = this.#told.map((told) => (told.job_id === job.job_id ? job : told));
    const expected = this.#expected.get(job.job_id);
    if (expected) this.#expected.set(job.job_id, { ...job, until: expected.until });
    this.#announce([job]);
  }
}
