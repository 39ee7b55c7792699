// The API key: asked once, kept in this tab or on this computer, sent as a header and written nowhere else.

import { one, say } from "./elements.js";

const NAME = "outdial.key";
const CHOICES = "outdial.choices";
const FORM = /^outdial_[0-9a-f]{12}_[A-Za-z0-9_-]{43}$/;

let inMemory = null; // for browsers that keep nothing for us
let opened = () => {};

/** Thrown by `ask` when the server does not take the key. */
export class KeyRefused extends Error {}

function stores() {
  try {
    return [window.sessionStorage, window.localStorage];
  } catch {
    return [];
  }
}

function storedKey() {
  try {
    return inMemory || stores().map((store) => store.getItem(NAME)).find(Boolean) || null;
  } catch {
    return inMemory;
  }
}

function keep(key, onThisComputer) {
  forget();
  try {
    stores()[onThisComputer ? 1 : 0].setItem(NAME, key);
  } catch {
    inMemory = key;
  }
}

function forget() {
  inMemory = null;
  try {
    for (const store of stores()) for (const name of [NAME, CHOICES]) store.removeItem(name);
  } catch {
    // There was nothing to forget.
  }
}

/** Return what was chosen with this key before, {} if nothing was. */
export function choices() {
  try {
    return JSON.parse(stores().map((store) => store.getItem(CHOICES)).find(Boolean) || "{}");
  } catch {
    return {};
  }
}

/** Keep what is chosen for as long as the key is kept, and in the same place. */
export function keepChoices(chosen) {
  try {
    stores().find((store) => store.getItem(NAME))?.setItem(CHOICES, JSON.stringify(chosen));
  } catch {
    // Then they are made again.
  }
}

/**
 * Ask the server, with the key.
 * @param {string} path Relative to the page, so that a proxy may put all of it below a path of its own.
 * @param {RequestInit} options As of fetch.
 * @throws {KeyRefused} On 401.
 */
export async function ask(path, options = {}) {
  const answer = await fetch(path, {
    cache: "no-store",
    credentials: "omit",
    redirect: "error",
    ...options,
    headers: { ...options.headers, Authorization: `Bearer ${storedKey()}` },
  });
  if (answer.status === 401) throw new KeyRefused();
  return answer;
}

/** Return what is left of a problem that the server told, whatever it answered with. */
export async function problemOf(answer) {
  try {
    const problem = await answer.json();
    return { detail: String(problem.detail || ""), errors: Array.isArray(problem.errors) ? problem.errors : [] };
  } catch {
    return { detail: "", errors: [] };
  }
}

/** Return for how many seconds the server asks to be left alone. */
export function restOf(answer, otherwise) {
  const seconds = Number.parseFloat(answer.headers.get("Retry-After"));
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 1), 300) : otherwise;
}

/** Close the page's inside and ask for a key. */
export function closeDoor(why = "") {
  one("inside").hidden = one("whose").hidden = true;
  one("door").hidden = false;
  say("key-error", "");
  say("door-why", why);
  one("key").focus();
}

/** Forget a key that is refused, say so, and ask for another one. */
export function keyIsRefused() {
  forget();
  closeDoor("This API key is not known, or was revoked. Enter another one to go on.");
}

function open() {
  one("door").hidden = true;
  one("inside").hidden = one("whose").hidden = false;
  opened();
}

function take(submitted) {
  submitted.preventDefault();
  const key = one("key").value.trim();
  if (!FORM.test(key)) {
    say("key-error", "This is not an API key: it begins with outdial_ and has 64 characters. Was all of it copied?");
    one("key").setAttribute("aria-invalid", "true");
    one("key").focus();
    return;
  }
  keep(key, one("remember").checked);
  one("key").value = "";
  one("key").removeAttribute("aria-invalid");
  open();
}

/**
 * Watch over the door of a page.
 * @param {function} onOpen Called whenever there is a key to go on with.
 * @param {function} onClose Called when the person wants it forgotten.
 */
export function keepDoor(onOpen, onClose) {
  opened = onOpen;
  one("door-form").addEventListener("submit", take);
  one("forget").addEventListener("click", () => {
    forget();
    onClose();
    closeDoor();
  });
  // Another tab forgot the key, or learned one.
  window.addEventListener("storage", (change) => {
    if (change.key !== NAME && change.key !== null) return;
    if (storedKey() === null && one("door").hidden) {
      onClose();
      closeDoor();
    } else if (storedKey() !== null && !one("door").hidden) open();
  });
  if (storedKey()) open();
  else closeDoor();
}
