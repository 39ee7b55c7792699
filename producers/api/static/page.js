// The page to dial from: door, form, list and live state, put together.

import { keepDoor, keyIsRefused } from "./door.js";
import { one } from "./elements.js";
import { DialForm } from "./form.js";
import { JobList } from "./jobs.js";
import { Stream } from "./stream.js";

const PBXS_AGAIN_MS = 20_000;

function link(state, sentence) {
  if (one("link").dataset.is === state && one("link-text").textContent === sentence) return;
  one("link").dataset.is = state;
  one("link-text").textContent = sentence;
  // Seconds that count down are for the eyes alone.
  one("link").setAttribute("aria-live", state === "lost" ? "off" : "polite");
  one("again").hidden = state !== "lost";
}

function close() {
  clearInterval(timer);
  stream.stop();
  list.clear();
  form.clear();
}

function refused() {
  close();
  keyIsRefused();
}

function open() {
  one("key-shown").hidden = true;
  form.recall();
  form.askForPbxs();
  clearInterval(timer);
  timer = setInterval(() => document.hidden || form.askForPbxs(), PBXS_AGAIN_MS);
  stream.now();
  // On a telephone the focus would bring its keyboard up.
  if (matchMedia("(pointer: fine)").matches) (one("extid").value ? one("outto") : one("extid")).focus();
}

let timer = 0;
const list = new JobList(refused);
const form = new DialForm({ accepted: (job) => list.expect(job), refused });
const stream = new Stream({
  link,
  refused,
  forbidden() {
    link("off", "Not shown");
    list.forbid();
  },
  event(name, data) {
    if (name === "key") {
      one("key-name").textContent = data.name;
      one("key-shown").hidden = false;
      form.allow(data.scopes);
      list.allow(data.scopes);
    }
    if (name === "jobs") {
      list.show(data.jobs);
      form.follow(data.jobs);
    }
  },
});
one("again").addEventListener("click", () => stream.now());
keepDoor(open, () => {
  close();
  one("dial-form").reset();
});
