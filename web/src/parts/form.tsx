/** Forms from JSON Schemas: what the service says about a value is all that is known here. */

import { createContext, useContext, useId, type ReactNode } from "react";
import type { FieldError } from "../lib/api";
import type { Schema } from "../lib/types";
import { Button, Told } from "./basic";
import { Checks, ConnectionInput, json, JsonInput, labelOf, Lines, Members, Moment, Suggest, timeZones } from "./controls";

interface FormContext {
  defs: Record<string, Schema>;
  errors: FieldError[];
}

const Known = createContext<FormContext>({ defs: {}, errors: [] });
export type Value = unknown;
export type Values = Record<string, Value>;

interface FormProps {
  schema: Schema;
  value: Values;
  onChange: (value: Values) => void;
  errors?: FieldError[];
  /** Fields that stand elsewhere on the page. */
  without?: string[];
}

/** The form of a whole document; the fields that must be given and those that are often given come first. */
export function SchemaForm({ schema, value, onChange, errors = [], without = [] }: FormProps) {
  const outer = useContext(Known);
  const defs = { ...outer.defs, ...schema.$defs };
  return (
    <Known.Provider value={{ defs, errors }}>
      <Fields {...{ schema, value, onChange, without }} more="More settings" isShown={(name, count) => OFTEN.has(name) || count <= WHOLE_SHOWN} />
    </Known.Provider>
  );
}

interface FieldsProps {
  schema: Schema;
  value: Values;
  onChange: (value: Values) => void;
  path?: string;
  without?: string[];
  more: string;
  /** Whether a field that need not be given stands among the first ones; `count` fields there are. */
  isShown: (name: string, count: number) => boolean;
}

/** The fields of one object; what is seldom given can be unfolded, and is where something is wrong with it. */
function Fields({ schema, value, onChange, path, without = [], more, isShown }: FieldsProps) {
  const { errors } = useContext(Known);
  const all = Object.keys(schema.properties ?? {}).filter((name) => drawn(schema.properties?.[name] ?? {}, value[name]));
  const names = all.filter((name) => !without.includes(name));
  const required = needed(schema);
  const place = (name: string) => (path === undefined ? name : `${path}.${name}`);
  const first = names.filter((name) => required.has(name) || value[name] !== undefined || isShown(name, all.length));
  const rest = names.filter((name) => !first.includes(name));
  first.sort((one, other) => Number(required.has(other)) - Number(required.has(one)));
  const draw = (name: string) => (
    <Field
      key={name}
      name={name}
      path={place(name)}
      schema={schema.properties?.[name] ?? {}}
      required={required.has(name)}
      value={value[name]}
      onChange={(next) => onChange(put(value, name, next))}
    />
  );
  return (
    <div className="stack">
      {first.map(draw)}
      {rest.length > 0 && (
        <details className="more-fields" open={rest.some((name) => errorOf(errors, place(name), true)) || undefined}>
          <summary>{more} ({rest.length})</summary>
          <div className="stack">{rest.map(draw)}</div>
        </details>
      )}
    </div>
  );
}

const WHOLE_SHOWN = 4;
const NESTED_SHOWN = 3;
const OFTEN = new Set(["timezone", "condition", "path", "signature", "event", "events", "filter", "every", "cron", "workflow", "any", "all", "repository", "code", "text", "to", "subject", "statement", "data", "method", "timeout"]);

/** What must be given; of a field with several spellings the first, as the others are deprecated. */
function needed(schema: Schema): Set<string> {
  const spelled = (schema.allOf ?? []).flatMap((one) => one.anyOf?.[0]?.required ?? []);
  return new Set([...(schema.required ?? []), ...spelled]);
}

function put(value: Values, name: string, next: Value): Values {
  const { [name]: _, ...others } = value;
  return next === undefined || next === "" ? others : { ...others, [name]: next };
}

/** What is wrong at a path; `within` takes also what is wrong further inside. */
export function errorOf(errors: FieldError[], path: string, within = false): string | undefined {
  const inside = (field: string) => field.startsWith(`${path}.`) || field.includes(`.${path}.`);
  return errors.find((one) => one.field === path || one.field.endsWith(`.${path}`) || (within && inside(one.field)))?.message;
}

/** The errors that no field of the form shows. */
export function unplaced(schema: Schema | undefined, errors: FieldError[], without: string[] = []): FieldError[] {
  const names = Object.keys(schema?.properties ?? {}).filter((name) => !without.includes(name) && schema?.properties?.[name]?.ui?.widget !== "hidden");
  return errors.filter((one) => !names.some((name) => errorOf([one], name, true)));
}

function drawn(schema: Schema, value: Value): boolean {
  return schema.ui?.widget !== "hidden" && (!schema.deprecated || value !== undefined);
}

interface FieldProps {
  name: string;
  path: string;
  schema: Schema;
  required: boolean;
  value: Value;
  onChange: (value: Value) => void;
}

function Field({ name, path, schema: given, required, value, onChange }: FieldProps) {
  const { defs, errors } = useContext(Known);
  const id = useId();
  const schema = plain(given, defs);
  const title = given.title ?? schema.title ?? name.replaceAll("_", " ");
  const hint = given.description ?? schema.description;
  const shape = kind(schema);
  const object = shape === "object" && !odd(shape, value);
  const wrong = errorOf(errors, path, !object) ?? (object ? lost(errors, path, schema) : undefined);
  const described = [hint ? `${id}-hint` : "", wrong ? `${id}-wrong` : ""].filter(Boolean).join(" ") || undefined;
  const control = <Control {...{ id, name, path, schema, value, onChange, described, wrong: wrong !== undefined, fallback: given.default ?? schema.default, example: given.examples?.[0] ?? schema.examples?.[0], hidden: (given.secret ?? false) && given.ui?.widget !== "secret" }} />;
  const notes = (
    <>
      {hint && <span className="hint" id={`${id}-hint`}><Told text={hint} /></span>}
      {wrong && <span className="field-error" id={`${id}-wrong`}><Told text={wrong} /></span>}
    </>
  );
  if (object) {
    return (
      <fieldset className="group">
        <legend>{title}</legend>
        {notes}
        {control}
      </fieldset>
    );
  }
  return (
    <div className="field">
      <label className="field-name" htmlFor={id}>{title}{required && <span className="muted"> (required)</span>}</label>
      {control}
      {notes}
    </div>
  );
}

/** What is wrong inside an object at a place that none of its fields has. */
function lost(errors: FieldError[], path: string, schema: Schema): string | undefined {
  const names = Object.keys(schema.properties ?? {});
  const inner = errors.filter((one) => errorOf([one], path, true) && !names.some((name) => errorOf([one], `${path}.${name}`, true)));
  return inner[0]?.message;
}

/** A schema without references, without the "or nothing" of optional fields and the "or an expression" of jobs. */
function plain(schema: Schema, defs: Record<string, Schema>): Schema {
  if (schema.$ref) return plain(defs[schema.$ref.split("/").at(-1) ?? ""] ?? {}, defs);
  const given = (schema.anyOf ?? schema.oneOf ?? []).filter((one) => one.type !== "null");
  const options = given.filter((one) => given.length === 1 || !one.pattern?.includes("\\$\\{")).map((one) => plain(one, defs));
  if (options.length === 0) return schema;
  const more = Object.fromEntries((["ui", "title", "description", "default"] as const).filter((name) => schema[name] !== undefined).map((name) => [name, schema[name]]));
  const text = options.some((one) => one.type === "string");
  const list = options.find((one) => kind(one) === "texts");
  if (text && list) return { ...list, ...more, alone: true };
  const [only] = options;
  const best = options.length === 1 ? only : options.find((one) => kind(one) === "object" && one.properties) ?? options.find((one) => one.type === "string") ?? only;
  return { ...best, ...more };
}

function kind(schema: Schema): string {
  if (schema.enum) return "choice";
  if (schema.ui?.widget === "members") return "members";
  const type = Array.isArray(schema.type) ? schema.type.find((one) => one !== "null") : schema.type;
  if (type === "object" && schema.properties) return "object";
  if (type === "array") return schema.items?.enum ? "checks" : plainItems(schema) ? "texts" : "json";
  if (type === "object") return "json";
  return type ?? "json";
}

function plainItems(schema: Schema): boolean {
  const items = schema.items;
  return items?.type === "string" || Boolean(items?.anyOf?.every((one) => one.type === "string"));
}

const LISTS = new Set(["checks", "members"]);
const SINGLE = new Set(["string", "choice", "boolean", "integer", "number"]);

/** Whether a value is not what its control can show: a document in place of a text, an expression in place of a number. */
function odd(shape: string, value: Value): boolean {
  if (value === undefined || value === null) return false;
  if (LISTS.has(shape)) return !Array.isArray(value);
  if (shape === "texts") return typeof value === "object" && !(Array.isArray(value) && value.every((one) => typeof one === "string"));
  if (shape === "object") return typeof value !== "object" || Array.isArray(value);
  if (shape === "integer" || shape === "number") return typeof value !== "number";
  if (shape === "boolean") return typeof value !== "boolean";
  return SINGLE.has(shape) && typeof value === "object";
}

interface ControlProps {
  id: string;
  name: string;
  path: string;
  schema: Schema;
  value: Value;
  onChange: (value: Value) => void;
  described: string | undefined;
  wrong: boolean;
  fallback: unknown;
  example: unknown;
  /** A value that nobody should read over a shoulder. */
  hidden: boolean;
}

function Control(props: ControlProps): ReactNode {
  const { id, path, schema, value, onChange, described, wrong, fallback, example } = props;
  const shared = { id, "aria-describedby": described, "aria-invalid": wrong || undefined };
  const shape = kind(schema);
  if (odd(shape, value)) {
    if (typeof value === "string") return <input {...shared} value={value} onChange={(event) => onChange(event.target.value || undefined)} />;
    return <JsonInput {...{ shared, value, onChange, example }} />;
  }
  switch (shape) {
    case "choice":
      return (
        <select {...shared} value={value === undefined ? "" : String(value)} onChange={(event) => onChange(schema.enum?.find((one) => String(one) === event.target.value))}>
          <option value="">{fallback === undefined || fallback === null ? "–" : `${labelOf(schema, fallback)} (default)`}</option>
          {schema.enum?.map((one) => <option key={String(one)} value={String(one)}>{labelOf(schema, one)}</option>)}
        </select>
      );
    case "boolean":
      return (
        <select {...shared} value={value === undefined ? "" : String(value)} onChange={(event) => onChange(event.target.value === "" ? undefined : event.target.value === "true")}>
          <option value="">{fallback === true ? "yes (default)" : "no (default)"}</option>
          <option value="true">yes</option>
          <option value="false">no</option>
        </select>
      );
    case "integer":
    case "number":
      return <input {...shared} type="number" step={shape === "integer" ? 1 : "any"} value={value === undefined ? "" : String(value)} placeholder={hinted(props)} onChange={(event) => onChange(event.target.value === "" ? undefined : Number(event.target.value))} />;
    case "texts":
      return <Lines {...{ shared, value, onChange, alone: schema.alone === true }} placeholder={hinted(props) || "one in each line"} />;
    case "checks":
      return <Checks {...{ shared, value, onChange, fallback }} options={(schema.items?.enum ?? []).map(String)} />;
    case "members":
      return <Members {...{ shared, value, onChange }} />;
    case "object":
      return <Nested {...{ schema, value, onChange, path }} />;
    case "string":
      return <TextControl {...{ shared, props }} />;
    default:
      return <JsonInput {...{ shared, value, onChange, example }} />;
  }
}

const MOMENTS = new Set(["run_at", "start_at", "end_at", "dtstart"]);
/** Texts that people write in several lines. */
const LONG = new Set(["text", "code"]);
const LONG_NAMES = new Set(["code", "body", "sql", "query", "html", "text", "statement"]);

function TextControl({ shared, props }: { shared: Parameters<typeof Suggest>[0]["shared"]; props: ControlProps }) {
  const { name, schema, value, onChange } = props;
  const placeholder = hinted(props);
  if (props.hidden) return <input {...shared} type="password" autoComplete="new-password" value={text(value)} onChange={(event) => onChange(event.target.value || undefined)} />;
  if (name === "timezone") return <Suggest {...{ shared, value, onChange, placeholder }} options={timeZones} />;
  if (schema.ui?.widget === "connection") return <ConnectionInput {...{ shared, value, onChange }} kind={schema.ui["kind"] as string | undefined} />;
  if (MOMENTS.has(name)) return <Moment {...{ shared, value, onChange, placeholder }} />;
  const long = LONG.has(schema.ui?.widget ?? "") || LONG_NAMES.has(name) || text(value).includes("\n");
  return long ? (
    <textarea {...shared} className={schema.ui?.widget === "text" ? undefined : "code"} rows={3} value={text(value)} placeholder={placeholder} onChange={(event) => onChange(event.target.value || undefined)} />
  ) : (
    <input {...shared} value={text(value)} placeholder={placeholder} onChange={(event) => onChange(event.target.value || undefined)} />
  );
}

/** What holds when nothing is written, or else what could be. */
function hinted({ schema, fallback, example }: ControlProps): string {
  const whole = Array.isArray(fallback) ? fallback.join(", ") : shown(fallback);
  if (whole) return `${whole} (default)`;
  const such = (schema.ui?.["placeholder"] as string | undefined) ?? (Array.isArray(example) ? example.join(", ") : shown(example));
  return such ? `for example ${such}` : "";
}

function Nested({ schema, value, onChange, path }: { schema: Schema; value: Value; onChange: (value: Value) => void; path: string }) {
  const held = (typeof value === "object" && value !== null ? value : {}) as Values;
  return (
    <Fields
      {...{ schema, path }}
      value={held}
      more="More"
      isShown={(name, count) => count <= NESTED_SHOWN || schema.properties?.[name]?.ui?.widget === "secret"}
      onChange={(next) => onChange(Object.keys(next).length ? next : undefined)}
    />
  );
}

function text(value: Value): string {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? value : typeof value === "object" ? JSON.stringify(value) : String(value as number);
}

function shown(value: unknown): string {
  return value === undefined || value === null ? "" : text(value);
}

/** A JSON document for inputs of runs, with what is wrong with it. */
export function JsonField({ label, value, onChange, hint }: { label: string; value: string; onChange: (value: string) => void; hint?: string }) {
  const id = useId();
  const wrong = value.trim() !== "" && json(value) === undefined;
  return (
    <div className="field">
      <label className="field-name" htmlFor={id}>{label}</label>
      <textarea id={id} className="code" value={value} aria-invalid={wrong || undefined} data-unread={wrong || undefined} onChange={(event) => onChange(event.target.value)} />
      {hint && <span className="hint">{hint}</span>}
      {wrong && <span className="field-error">This is not JSON yet.</span>}
    </div>
  );
}

export function Buttons({ busy, main, onCancel }: { busy: boolean; main: string; onCancel?: () => void }) {
  return (
    <div className="actions">
      <Button type="submit" kind="main" disabled={busy}>{busy ? "Working …" : main}</Button>
      {onCancel && <Button onClick={onCancel}>Cancel</Button>}
    </div>
  );
}
