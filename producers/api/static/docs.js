// The description of the interface for people, made of the one for machines.

import { ask, closeDoor, keepDoor, KeyRefused, keyIsRefused, problemOf } from "./door.js";
import { element, one } from "./elements.js";
import { Schemas } from "./schema.js";

const METHODS = ["get", "post", "put", "patch", "delete"];
const isGood = ([status]) => status.startsWith("2");
const heading = (text) => element("h4", { text });

/** Turn text with `code` and blank lines into paragraphs. */
function prose(text) {
  return text
    .split(/\n\s*\n/)
    .filter(Boolean)
    .map((paragraph) => {
      const pieces = paragraph.split(/`([^`]+)`/);
      return element("p", {}, ...pieces.map((piece, n) => (n % 2 ? element("code", { text: piece }) : piece)));
    });
}

function sample(value) {
  const text = typeof value === "string" ? value.trimEnd() : JSON.stringify(value, null, 2);
  return element("pre", { tabindex: "0" }, element("code", { text }));
}

function fieldList(fields) {
  const terms = fields.flatMap(({ name, type, rules, text, isRequired, place }) => [
    element(
      "dt",
      {},
      element("code", { text: name }),
      element("span", { class: "muted", text: [place, type].filter(Boolean).join(", ") }),
      isRequired ? element("span", { class: "must", text: "required" }) : null,
    ),
    element("dd", {}, ...prose(text), rules.length ? element("p", { class: "rules", text: rules.join("; ") }) : null),
  ]);
  return element("dl", { class: "fields" }, ...terms);
}

function parametersOf(operation, schemas) {
  return (operation.parameters || []).map((given) => {
    const { schema: parameter } = schemas.resolve(given);
    const { schema = {} } = parameter;
    return {
      name: parameter.name,
      type: schemas.type(schema).replace(" or null", ""),
      rules: schemas.rules(schema),
      text: parameter.description || schema.description || "",
      isRequired: parameter.required,
      place: { query: "query", header: "header", path: "in the path" }[parameter.in],
    };
  });
}

/** Return the request as one types it; the key stays a variable. */
function command(method, path, content, schemas) {
  const lines = [`curl -X ${method.toUpperCase()} "${new URL(".", location.href).href.replace(/\/$/, "")}${path}"`];
  if (path.startsWith("/v1")) lines.push('  -H "Authorization: Bearer $OUTDIAL_KEY"');
  if (content) {
    const [type, body] = content;
    const example = schemas.example(body);
    lines.push(`  -H "Content-Type: ${type}"`);
    lines.push(`  --data-binary '${typeof example === "string" ? example.trimEnd() : JSON.stringify(example)}'`);
  }
  return lines.join(" \\\n");
}

function bodies(operation, schemas) {
  return Object.entries(operation.requestBody?.content || {}).flatMap(([type, content]) => {
    const fields = schemas.fields(content.schema);
    return [
      element("p", { class: "type" }, element("code", { text: type })),
      ...prose(schemas.resolve(content.schema).schema.description || ""),
      fields.length ? fieldList(fields) : null,
      sample(schemas.example(content)),
    ];
  });
}

function answerTo([status, response], schemas) {
  const [type, content] = Object.entries(response.content || {})[0] || ["", null];
  const { description, type: kind } = content ? schemas.resolve(content.schema).schema : {};
  const said = response.description === "Successful Response" && kind === "object" ? description : response.description;
  const title = [
    element("span", { class: "status good", text: status }),
    element("span", { text: said || "Done." }),
    element("code", { class: "muted", text: type }),
  ];
  if (!content) return element("div", { class: "answer" }, ...title);
  const fields = schemas.fields(content.schema).map((field) => ({ ...field, isRequired: false }));
  const inside = [fields.length ? fieldList(fields) : null, sample(schemas.example(content))];
  return element("details", { class: "answer" }, element("summary", {}, ...title), ...inside);
}

/** All refusals have one form, so a line for each is enough. */
function refusals(responses) {
  const lines = responses.map(([status, { description }]) =>
    element("p", {}, element("span", { class: "status", text: status }), " ", description),
  );
  const title = [
    element("span", { class: "status", text: responses.map(([status]) => status).join(" ") }),
    element("code", { class: "muted", text: "application/problem+json" }),
  ];
  return element("details", { class: "answer" }, element("summary", {}, ...title), ...lines);
}

function chapter({ id, method, path, operation }, schemas) {
  const content = Object.entries(operation.requestBody?.content || {})[0];
  const parameters = parametersOf(operation, schemas);
  const parts = [
    element("h3", { id: `${id}-title`, text: operation.summary || path }),
    element("p", { class: "path" }, element("span", { class: `method ${method}`, text: method.toUpperCase() }), element("code", { text: path })),
    ...prose((operation.description || "").trim()),
    sample(command(method, path, content, schemas)),
  ];
  if (parameters.length) parts.push(heading("Parameters"), fieldList(parameters));
  if (content) parts.push(heading("Body"), ...bodies(operation, schemas));
  parts.push(heading("Answers"));
  const answers = Object.entries(operation.responses || {}).sort();
  parts.push(...answers.filter(isGood).map((answer) => answerTo(answer, schemas)));
  const refused = answers.filter((answer) => !isGood(answer));
  if (refused.length) parts.push(refusals(refused));
  return element("section", { class: "card chapter", id, "aria-labelledby": `${id}-title` }, ...parts);
}

function operationsOf(description) {
  return Object.entries(description.paths).flatMap(([path, methods]) =>
    METHODS.filter((method) => methods[method]).map((method) => ({
      method,
      path,
      operation: methods[method],
      tag: methods[method].tags?.[0] || "other",
      id: `${method}${path.replace(/[^A-Za-z0-9]+/g, "-")}`.replace(/-$/, ""),
    })),
  );
}

function draw(description) {
  const schemas = new Schemas(description);
  const { info } = description;
  const byTag = new Map();
  for (const operation of operationsOf(description)) byTag.set(operation.tag, [...(byTag.get(operation.tag) || []), operation]);
  const contents = [];
  const chapters = [
    element("div", { class: "intro" }, element("h1", { text: "Interface" }), element("p", { class: "lead", text: info.summary || "" }), ...prose(info.description || ""), element("p", { class: "muted" }, `Version ${info.version}. For machines: `, element("code", { text: "/openapi.json" }), " (OpenAPI 3.1).")),
  ];
  for (const [tag, operations] of byTag) {
    const name = tag.charAt(0).toUpperCase() + tag.slice(1);
    contents.push(element("h2", { text: name }));
    chapters.push(element("h2", { class: "part", text: name }));
    const links = operations.map(({ id, method, path, operation }) =>
      element("li", {}, element("a", { href: `#${id}` }, element("span", { class: `method ${method}`, text: method.toUpperCase() }), element("span", { text: operation.summary || path }))),
    );
    contents.push(element("ul", {}, ...links));
    chapters.push(...operations.map((operation) => chapter(operation, schemas)));
  }
  one("contents").replaceChildren(...contents);
  one("chapters").replaceChildren(...chapters);
  if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

function complain(sentence) {
  one("chapters").replaceChildren(element("p", { class: "notice bad", role: "alert", text: sentence }));
}

async function open() {
  try {
    const told = await ask("openapi.json");
    if (told.ok) draw(await told.json());
    else complain((await problemOf(told)).detail || `The server answers with an error (${told.status}).`);
  } catch (error) {
    if (error instanceof KeyRefused) keyIsRefused();
    else complain("The server does not answer. Load the page again later.");
  }
}

keepDoor(open, closeDoor);
