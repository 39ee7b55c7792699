// Reading the schemas of an OpenAPI description: what a person wants to know of a field, in words.

const LONGEST_LIST = 12;

/** Follows references within one description. */
export class Schemas {
  #description;

  /** @param {Object} description The OpenAPI description. */
  constructor(description) {
    this.#description = description;
  }

  /** Return a schema or parameter without references, and the name it was referred to by. */
  resolve(schema = {}) {
    if (!schema.$ref) return { schema, name: "" };
    const path = schema.$ref.replace(/^#\//, "").split("/");
    const found = path.reduce((place, step) => place?.[step], this.#description) || {};
    return { schema: found, name: path.at(-1) };
  }

  /** Return the fields of an object as [{name, type, rules, text, isRequired, inner}]; of a list those of its items. */
  fields(given) {
    const { schema } = this.resolve(given);
    const owner = schema.type === "array" ? this.resolve(schema.items).schema : schema;
    return Object.entries(owner.properties || {}).map(([name, field]) => ({
      name,
      type: this.type(field),
      rules: this.rules(field),
      text: field.description || this.#plain(field).description || "",
      isRequired: (owner.required || []).includes(name),
    }));
  }

  /** Return what kind of value this is: "text", "list of jobs", ... */
  type(given) {
    const { schema, name } = this.resolve(given);
    const options = schema.anyOf || schema.oneOf;
    if (options) return [...new Set(options.map((option) => this.type(option)))].join(" or ");
    if (schema.type === "array") return `list of ${this.type(schema.items).replace(/^(text|word)$/, "$1s")}`;
    if (schema.enum || "const" in schema) return "word";
    if (schema.format === "date-time") return "time";
    if (schema.type === "object" && schema.additionalProperties) return "map of texts";
    return { string: "text", integer: "whole number", boolean: "true or false", object: name || "object" }[schema.type] || schema.type || "any";
  }

  /** Return what a value has to keep to: a list of phrases. */
  rules(given) {
    const schema = { ...this.resolve(given).schema, ...this.#plain(given) };
    const words = schema.enum || ("const" in schema ? [schema.const] : null) || (schema.items && this.resolve(schema.items).schema.enum);
    const rules = [];
    if (words) rules.push(words.slice(0, LONGEST_LIST).join(" · "));
    if (schema.pattern) rules.push(`matches ${schema.pattern}`);
    if (schema.minimum !== undefined || schema.maximum !== undefined) rules.push(range(schema.minimum, schema.maximum, ""));
    if (schema.maxLength !== undefined) rules.push(range(schema.minLength, schema.maxLength, " characters"));
    if (schema.maxProperties !== undefined) rules.push(`at most ${schema.maxProperties} entries`);
    if (given.default !== undefined && given.default !== null && given.default !== "") rules.push(`${JSON.stringify(given.default)} if left out`);
    return rules;
  }

  /** Return an example of a body: the one that is given, else one made of the examples of its fields. */
  example(content) {
    if (content.example !== undefined) return content.example;
    const [given] = Object.values(content.examples || {});
    return given?.value !== undefined ? given.value : this.#made(content.schema, 0);
  }

  #made(given, depth) {
    const { schema } = this.resolve(given);
    const plain = { ...schema, ...this.#plain(given) };
    if (plain.examples?.length) return plain.examples[0];
    if (plain.default !== undefined && plain.default !== null) return plain.default;
    if (plain.type === "array") return depth < 3 ? [this.#made(plain.items, depth + 1)] : [];
    if (plain.properties && depth < 4)
      return Object.fromEntries(Object.entries(plain.properties).map(([name, field]) => [name, this.#made(field, depth + 1)]));
    if (schema.anyOf?.some((option) => option.type === "null")) return null;
    if (plain.enum) return plain.enum[0];
    if (plain.format === "date-time") return "2026-11-23T09:00:00Z";
    return { string: "text", integer: 0, number: 0, boolean: false, object: {} }[plain.type] ?? null;
  }

  /** Of "this or null", and of "this or that", the first. */
  #plain(given) {
    const { schema } = this.resolve(given);
    const option = (schema.anyOf || schema.oneOf || []).find(({ type }) => type !== "null");
    return option ? this.resolve(option).schema : {};
  }
}

function range(least, most, unit) {
  if (least === undefined) return `at most ${most}${unit}`;
  return most === undefined ? `at least ${least}${unit}` : `${least} to ${most}${unit}`;
}
