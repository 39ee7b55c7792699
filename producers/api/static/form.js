// The form: one wish, one job, however often it has to be sent.

import { ask, choices, keepChoices, KeyRefused, problemOf, restOf } from "./door.js";
import { element, one, say } from "./elements.js";
import { standsInTheWay } from "./jobs.js";

const LABELS = { extid: "Extension", outto: "Number", pbx: "PBX", priority: "Priority", autoanswer: "Picking up" };
// The second press of a double click comes within a second; whoever waits longer means a second call.
const SAME_WISH_MS = 3000;
const ANSWER_WITHIN_MS = 8000;
const RESTS_MS = [500, 3000];

/** Return 128 random bits as hex; crypto.randomUUID is missing on pages that come by plain http. */
function newRequestKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

const rest = (ms) => new Promise((done) => setTimeout(done, ms));

/** Turn "extid: 'x' is invalid; expected ..." into a sentence that stands below its field. */
function sentence(field, detail) {
  const text = detail.replace(/^[a-z_]+: /, "").replace(/\.?$/, ".");
  return LABELS[field] && /^('|is )/.test(text) ? `${LABELS[field]} ${text}` : text.charAt(0).toUpperCase() + text.slice(1);
}

/** Return who paused something, when and why, to stand behind "is paused"; empty where that is not known. */
function authorOf(pause) {
  if (!pause?.at) return "";
  const by = pause.by ? ` by ${pause.by}` : "";
  const reason = pause.reason ? `: ${pause.reason.replace(/\.$/, "")}` : "";
  return `${by} since ${new Date(pause.at).toLocaleString()}${reason}`;
}

/** The form of the page. */
export class DialForm {
  #tell;
  #wish = null;
  #isBusy = false;
  #pbxs = [];
  #handedIn = null;

  /** @param {Object} tell Functions: accepted(job), refused(). */
  constructor(tell) {
    this.#tell = tell;
    one("dial-form").addEventListener("submit", (submitted) => {
      submitted.preventDefault();
      if (!this.#isBusy) this.#dial();
    });
    one("dial-form").addEventListener("input", ({ target }) => this.#complain(target.id || target.name, ""));
    one("pbx").addEventListener("change", () => this.#hint());
    one("extid").addEventListener("change", () => this.#hint());
  }

  /** Take note of what the key may do. */
  allow(scopes) {
    const mayDial = scopes.includes("enqueue");
    one("dial").disabled = !mayDial;
    say("dial-error", mayDial ? "" : "This API key may look, but not dial: it has not the scope enqueue.");
  }

  /** Forget what was said, for another key. */
  clear() {
    this.#wish = null;
    this.#handedIn = null;
    one("dial").disabled = false;
    one("said").textContent = "";
    this.#complainOf([]);
    this.#offer([]);
  }

  /** Fill in what was chosen before. */
  recall() {
    const { extid } = choices();
    if (extid && !one("extid").value) one("extid").value = extid;
  }

  /** Ask which PBXs there are; a key that may not look has the default one. */
  async askForPbxs() {
    try {
      const answer = await ask("v1/pbxs");
      if (!answer.ok) return;
      const told = await answer.json();
      this.#offer(told.pbxs.map((pbx) => ({
        ...pbx,
        isEverythingPaused: told.everything_paused,
        everythingPause: told.everything_pause,
      })), told.default);
    } catch (error) {
      if (error instanceof KeyRefused) this.#tell.refused();
      // Else the live state says that there is no connection.
    }
  }

  #offer(pbxs, preset) {
    const chosen = one("pbx").value || choices().pbx || preset;
    const isNew = pbxs.map((pbx) => pbx.name).join() !== this.#pbxs.map((pbx) => pbx.name).join() || !pbxs.length;
    this.#pbxs = pbxs;
    if (isNew) {
      const options = pbxs.map((pbx) => element("option", { value: pbx.name, text: pbx.name }));
      if (pbxs.length > 1 && !preset) options.unshift(element("option", { value: "", text: "Choose one" }));
      one("pbx").replaceChildren(...options);
      if (pbxs.some((pbx) => pbx.name === chosen)) one("pbx").value = chosen;
    }
    this.#hint();
  }

  #hint() {
    const chosen = this.#pbxs.find((pbx) => pbx.name === one("pbx").value);
    const everywhere = this.#pbxs.find((pbx) => pbx.isEverythingPaused);
    const held = chosen?.paused_extensions.find((pause) => pause.extid === one("extid").value.trim());
    let hint = "";
    if (everywhere) hint = `Dialing is paused everywhere${authorOf(everywhere.everythingPause)}. Jobs wait until it goes on.`;
    else if (chosen?.paused) hint = `${chosen.name} is paused${authorOf(chosen.pause)}. Jobs wait until it goes on.`;
    else if (held) hint = `Extension ${held.extid} is paused${authorOf(held)}. Its jobs wait until it goes on.`;
    else if (chosen && chosen.breaker !== "closed") hint = `${chosen.name} does not answer at present: jobs wait until it does.`;
    one("pbx-hint").textContent = hint;
    one("pbx-hint").className = hint ? "hint warn" : "hint";
  }

  /** Say of the job that was handed in last what the server's list says of it now. */
  follow(jobs) {
    const job = this.#handedIn && jobs.find((one_) => one_.job_id === this.#handedIn);
    if (!job || this.#isBusy) return;
    const inTheWay = standsInTheWay(job);
    const who = `Handed in: extension ${job.extid}`;
    let text = "Handed in: what came of it is in the list.";
    if (inTheWay) text = `${who} waits. ${inTheWay}.`;
    else if (["waiting", "released"].includes(job.state)) text = `${who} rings as soon as its turn comes.`;
    else if (job.state === "claimed") text = `${who} is being called.`;
    else this.#handedIn = null;
    one("said").classList.toggle("warn", Boolean(inTheWay));
    if (one("said").textContent !== text) one("said").textContent = text;
  }

  #fields() {
    const fields = {
      extid: one("extid").value.trim(),
      outto: one("outto").value.trim(),
      pbx: one("pbx").value,
      priority: one("dial-form").elements.priority.value,
      autoanswer: one("autoanswer").checked ? "yes" : "no",
    };
    return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ""));
  }

  /** The same contents again, soon or before any answer, are the same wish: the server knows it by its key. */
  #wishFor(body) {
    const isOver = this.#wish?.answeredAt && performance.now() - this.#wish.answeredAt > SAME_WISH_MS;
    if (this.#wish?.body !== body || isOver) this.#wish = { body, key: newRequestKey(), answeredAt: 0 };
    return this.#wish;
  }

  async #dial() {
    const fields = this.#fields();
    const wish = this.#wishFor(JSON.stringify(fields));
    this.#busy(true);
    this.#complainOf([]);
    one("said").textContent = "Handing it in…";
    try {
      await this.#read(await this.#send(wish), wish, fields);
    } catch (error) {
      if (error instanceof KeyRefused) this.#tell.refused();
      else
        this.#fail("No answer came, so nobody can tell whether the job was kept. Press Dial again: it stays one job, and rings once.");
    } finally {
      this.#busy(false);
    }
  }

  /** Send a wish until there is an answer to it; throws if there is none. */
  async #send(wish) {
    for (let tries = 0; ; tries += 1) {
      const answer = await this.#sendOnce(wish);
      const isLast = tries >= RESTS_MS.length;
      if (answer && (isLast || ![409, 502, 503, 504].includes(answer.status))) return answer;
      if (answer?.status === 409 && !(await this.#isUnderWay(answer))) return answer;
      if (isLast) throw new TypeError("no answer");
      one("said").textContent = "No answer yet, asking again…";
      await rest(Math.max(RESTS_MS[tries], answer ? 1000 * Math.min(restOf(answer, 0), 5) : 0));
    }
  }

  async #sendOnce(wish) {
    const cut = new AbortController();
    const timer = setTimeout(() => cut.abort(), ANSWER_WITHIN_MS);
    try {
      return await ask("v1/dial-jobs", {
        method: "POST",
        headers: { "Content-Type": "application/json", "Idempotency-Key": wish.key },
        body: wish.body,
        signal: cut.signal,
      });
    } catch (error) {
      if (error instanceof KeyRefused) throw error;
      return null;
    } finally {
      clearTimeout(timer);
    }
  }

  async #isUnderWay(answer) {
    const { errors } = await problemOf(answer.clone());
    return errors.some((error) => error.parameter === "Idempotency-Key");
  }

  async #read(answer, wish, fields) {
    if (answer.ok) {
      const job = await answer.json();
      const isRepeat = wish.answeredAt > 0;
      wish.answeredAt = performance.now();
      // One's own extension and PBX stay the same from call to call; numbers are not kept.
      keepChoices({ extid: fields.extid, pbx: fields.pbx });
      one("said").textContent = isRepeat
        ? "That was the same once more, a moment after: it stays one job."
        : `Handed in: a call of extension ${fields.extid}.`;
      one("said").classList.remove("warn");
      this.#handedIn = isRepeat ? null : job.job_id;
      this.#tell.accepted({
        job_id: job.job_id,
        state: job.state,
        extid: fields.extid,
        pbx: fields.pbx || "",
        enqueued_at: new Date().toISOString(),
      });
      return;
    }
    const { detail, errors } = await problemOf(answer);
    if (answer.status === 429) this.#fail(`This API key has sent too many requests. Try again in ${restOf(answer, 10)} s.`);
    else if (answer.status === 503) this.#fail(`The server cannot take jobs now: ${detail || "try again later"}. Press Dial again later: it stays one job.`);
    else if (answer.status < 500) this.#complainOf(errors.length ? errors : [{ detail: detail || `The server refuses it (${answer.status})` }]);
    else this.#fail(`The server answers with an error (${answer.status}). Press Dial again: it stays one job.`);
  }

  #fail(sentence_) {
    this.#handedIn = null;
    one("said").textContent = "";
    say("dial-error", sentence_);
  }

  #complainOf(errors) {
    this.#handedIn = null;
    one("said").textContent = "";
    say("dial-error", "");
    Object.keys(LABELS).forEach((field) => this.#complain(field, ""));
    const others = [];
    for (const { pointer, detail } of errors) {
      const field = String(pointer || "").slice(1);
      if (Object.hasOwn(LABELS, field)) this.#complain(field, sentence(field, String(detail)));
      else others.push(sentence("", String(detail)));
    }
    say("dial-error", others.join(" "));
    document.querySelector('#dial-form [aria-invalid="true"]')?.focus();
  }

  #complain(field, text) {
    say(`${field}-error`, text);
    const input = one(field) || one("dial-form").elements[field][0];
    if (text) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }

  #busy(isBusy) {
    this.#isBusy = isBusy;
    // Not `disabled`, which would take the focus away.
    one("dial").setAttribute("aria-disabled", String(isBusy));
  }
}
