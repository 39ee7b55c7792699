// Making elements. All text goes in as text: nothing that comes from a server is ever read as HTML.

/**
 * Return a new element.
 * @param {string} tag Its name.
 * @param {Object} attributes By name; `class` and `text` are what they say, null and false leave one out.
 * @param {...(Node|string|null)} children What is in it.
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === false || value === undefined) continue;
    if (name === "text") made.textContent = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Return the element of the page with this id. */
export function one(id) {
  return document.getElementById(id);
}

/** Say something in an element, and show it; nothing said hides it. */
export function say(id, sentence) {
  const place = one(id);
  place.textContent = sentence || "";
  place.hidden = !sentence;
}
