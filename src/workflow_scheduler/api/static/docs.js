"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];
const make = (name, text = "", attributes = {}) => {
  const element = document.createElement(name);
  element.textContent = text;
  Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
  return element;
};

const resolve = (spec, schema, depth = 0) => {
  if (!schema || depth > 6) return {};
  if (schema.$ref) {
    const found = schema.$ref.split("/").slice(1).reduce((node, part) => (node || {})[part], spec);
    return resolve(spec, found, depth + 1);
  }
  return schema;
};

const example = (spec, given, depth = 0) => {
  const schema = resolve(spec, given);
  if (schema.example !== undefined) return schema.example;
  if (schema.examples && schema.examples.length) return schema.examples[0];
  if (schema.default !== undefined) return schema.default;
  if (schema.enum) return schema.enum[0];
  if (schema.anyOf) return example(spec, schema.anyOf[0], depth + 1);
  if (depth > 4) return null;
  if (schema.type === "array") return [example(spec, schema.items, depth + 1)];
  if (schema.properties) {
    const names = schema.required && schema.required.length ? schema.required : Object.keys(schema.properties);
    return Object.fromEntries(names.map((name) => [name, example(spec, schema.properties[name], depth + 1)]));
  }
  return { string: "", integer: 0, number: 0, boolean: false }[schema.type] ?? {};
};

const typeName = (spec, given) => {
  const schema = resolve(spec, given);
  if (schema.anyOf) return schema.anyOf.map((one) => typeName(spec, one)).join(" or ");
  if (schema.enum) return schema.enum.join(" | ");
  return [].concat(schema.type || "any").join(" or ");
};

const parameterTable = (spec, parameters, inputs) => {
  const table = make("table");
  parameters.forEach((given) => {
    const parameter = resolve(spec, given);
    const row = make("tr");
    const name = make("td");
    name.append(make("code", parameter.name), parameter.required ? " *" : "");
    const input = make("input", "", { "aria-label": parameter.name, placeholder: typeName(spec, parameter.schema) });
    const field = make("td");
    field.append(input);
    row.append(name, make("td", parameter.in), field, make("td", parameter.description || ""));
    table.append(row);
    inputs.push({ parameter, input });
  });
  return table;
};

const send = async (method, path, inputs, body, type, output) => {
  let address = path;
  const query = new URLSearchParams();
  const headers = {};
  inputs.forEach(({ parameter, input }) => {
    if (parameter.in === "path") address = address.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (input.value && parameter.in === "query") query.append(parameter.name, input.value);
    else if (input.value && parameter.in === "header") headers[parameter.name] = input.value;
  });
  const key = document.getElementById("key").value;
  if (key) headers["X-API-Key"] = key;
  if (body !== null) headers["Content-Type"] = type;
  output.textContent = "…";
  try {
    const search = query.toString();
    const answer = await fetch(address + (search ? `?${search}` : ""), { method, headers, body });
    const text = await answer.text();
    let shown = text;
    try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: shown as it is */ }
    output.textContent = `${answer.status} ${answer.statusText}\n\n${shown}`;
  } catch (error) {
    output.textContent = String(error);
  }
};

const fill = (panel, spec, path, method, operation) => {
  panel.append(make("p", operation.description || ""));
  const inputs = [];
  if (operation.parameters && operation.parameters.length) panel.append(parameterTable(spec, operation.parameters, inputs));
  let area = null;
  let type = null;
  const content = operation.requestBody && operation.requestBody.content;
  if (content) {
    [type] = Object.keys(content);
    const media = content[type];
    area = make("textarea", JSON.stringify(media.example ?? example(spec, media.schema), null, 2), { "aria-label": "body" });
    panel.append(make("p", `Body: ${Object.keys(content).join(", ")}`, { class: "muted" }), area);
  }
  const output = make("pre", "");
  const button = make("button", "Send");
  button.addEventListener("click", () => send(method.toUpperCase(), path, inputs, area ? area.value : null, type, output));
  panel.append(button, output);
  const answers = make("table");
  Object.entries(operation.responses || {}).forEach(([status, answer]) => {
    const row = make("tr");
    row.append(make("td", status), make("td", resolve(spec, answer).description || ""));
    answers.append(row);
  });
  panel.append(make("p", "Answers", { class: "muted" }), answers);
};

const show = (spec, word) => {
  const place = document.getElementById("operations");
  place.replaceChildren();
  const groups = new Map();
  Object.entries(spec.paths).forEach(([path, operations]) => METHODS.filter((name) => operations[name]).forEach((method) => {
    const operation = operations[method];
    const text = `${method} ${path} ${operation.summary || ""}`.toLowerCase();
    if (!text.includes(word.toLowerCase())) return;
    const tag = (operation.tags || ["other"])[0];
    groups.set(tag, [...(groups.get(tag) || []), [path, method, operation]]);
  }));
  groups.forEach((members, tag) => {
    place.append(make("h2", tag));
    members.forEach(([path, method, operation]) => {
      const box = make("details");
      const line = make("summary");
      line.append(make("span", method.toUpperCase(), { class: `method ${method}` }), make("code", path), ` ${operation.summary || ""}`);
      const panel = make("div");
      box.append(line, panel);
      box.addEventListener("toggle", () => { if (!panel.childElementCount) fill(panel, spec, path, method, operation); });
      place.append(box);
    });
  });
};

fetch("/openapi.json").then((answer) => answer.json()).then((spec) => {
  document.getElementById("title").textContent = `${spec.info.title} ${spec.info.version}`;
  document.getElementById("filter").addEventListener("input", (event) => show(spec, event.target.value));
  show(spec, "");
}).catch((error) => { document.getElementById("operations").textContent = String(error); });
