/** Forms from JSON Schemas: what the service says about a value is all that is known here. */

import { createContext, useContext, useId, useState, type ReactNode } from "react";
import type { FieldError } from "../lib/api";
import type { Schema } from "../lib/types";
import { Button } from "./basic";

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
  const all = Object.keys(schema.properties ?? {}).filter((name) => !schema.properties?.[name]?.deprecated || value[name] !== undefined);
  const names = all.filter((name) => !without.includes(name));
  const required = needed(schema);
  const place = (name: string) => (path === undefined ? name : `${path}.${name}`);
  const first = names.filter((name) => required.has(name) || value[name] !== undefined || isShown(name, all.length));
  const rest = names.filter((name) => !first.includes(name));
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
        <details className="more-fields" open={rest.some((name) => errorOf(errors, place(name))) || undefined}>
          <summary>{more} ({rest.length})</summary>
          <div className="stack">{rest.map(draw)}</div>
        </details>
      )}
    </div>
  );
}

const WHOLE_SHOWN = 4;
const NESTED_SHOWN = 3;
const OFTEN = new Set(["timezone", "condition", "path", "signature", "event", "events", "filter", "every", "cron", "workflow", "any", "all", "repository"]);

/** What must be given; of a field with several spellings the first, as the others are deprecated. */
function needed(schema: Schema): Set<string> {
  const spelled = (schema.allOf ?? []).flatMap((one) => one.anyOf?.[0]?.required ?? []);
  return new Set([...(schema.required ?? []), ...spelled]);
}

function put(value: Values, name: string, next: Value): Values {
  const { [name]: _, ...others } = value;
  return next === undefined || next === "" ? others : { ...others, [name]: next };
}

export function errorOf(errors: FieldError[], path: string): string | undefined {
  return errors.find((one) => one.field === path || one.field.endsWith(`.${path}`))?.message;
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
  const wrong = errorOf(errors, path);
  const described = [hint ? `${id}-hint` : "", wrong ? `${id}-wrong` : ""].filter(Boolean).join(" ") || undefined;
  const control = <Control {...{ id, path, schema, value, onChange, required, described, wrong: wrong !== undefined, fallback: given.default ?? schema.default, example: given.examples?.[0] ?? schema.examples?.[0], hidden: (given.secret ?? false) && given.ui?.widget !== "secret" }} />;
  const notes = (
    <>
      {hint && <span className="hint" id={`${id}-hint`}>{hint}</span>}
      {wrong && <span className="field-error" id={`${id}-wrong`}>{wrong}</span>}
    </>
  );
  if (kind(schema) === "object") {
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

/** A schema without references and without the "or nothing" that optional fields have. */
function plain(schema: Schema, defs: Record<string, Schema>): Schema {
  if (schema.$ref) return plain(defs[schema.$ref.split("/").at(-1) ?? ""] ?? {}, defs);
  const options = (schema.anyOf ?? schema.oneOf ?? []).filter((one) => one.type !== "null").map((one) => plain(one, defs));
  if (options.length === 0) return schema;
  const [only] = options;
  const best = options.length === 1 ? only : options.find((one) => kind(one) === "object" && one.properties) ?? options.find((one) => one.type === "string") ?? only;
  return { ...best, ...(schema.ui ? { ui: schema.ui } : {}), ...(schema.description ? { description: schema.description } : {}) };
}

function kind(schema: Schema): string {
  if (schema.enum) return "choice";
  const type = Array.isArray(schema.type) ? schema.type.find((one) => one !== "null") : schema.type;
  if (type === "object" && schema.properties) return "object";
  if (type === "array") return plainItems(schema) ? "texts" : "json";
  if (type === "object") return "json";
  return type ?? "json";
}

function plainItems(schema: Schema): boolean {
  const items = schema.items;
  return items?.type === "string" || Boolean(items?.enum) || Boolean(items?.anyOf?.every((one) => one.type === "string"));
}

interface ControlProps {
  id: string;
  path: string;
  schema: Schema;
  value: Value;
  onChange: (value: Value) => void;
  required: boolean;
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
  switch (kind(schema)) {
    case "choice":
      return (
        <select {...shared} value={value === undefined ? "" : String(value)} onChange={(event) => onChange(schema.enum?.find((one) => String(one) === event.target.value))}>
          <option value="">{fallback === undefined || fallback === null ? "–" : `${String(fallback)} (default)`}</option>
          {schema.enum?.map((one) => <option key={String(one)} value={String(one)}>{String(one)}</option>)}
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
      return <input {...shared} type="number" step={kind(schema) === "integer" ? 1 : "any"} value={value === undefined ? "" : String(value)} placeholder={shown(fallback)} onChange={(event) => onChange(event.target.value === "" ? undefined : Number(event.target.value))} />;
    case "texts":
      return <textarea {...shared} rows={2} value={Array.isArray(value) ? value.join("\n") : ""} placeholder={Array.isArray(example) ? example.join("\n") : "one in each line"} onChange={(event) => onChange(lines(event.target.value))} />;
    case "object":
      return <Nested {...{ schema, value, onChange, path }} />;
    case "string":
      if (props.hidden) return <input {...shared} type="password" autoComplete="new-password" value={text(value)} onChange={(event) => onChange(event.target.value || undefined)} />;
      return schema.ui?.widget === "text" || (schema.maxLength ?? 0) > 1000 ? (
        <textarea {...shared} value={text(value)} placeholder={shown(example ?? fallback)} onChange={(event) => onChange(event.target.value || undefined)} />
      ) : (
        <input {...shared} value={text(value)} placeholder={shown(example ?? fallback)} onChange={(event) => onChange(event.target.value || undefined)} />
      );
    default:
      return <JsonInput {...{ shared, value, onChange, example }} />;
  }
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

interface Shared {
  id: string;
  "aria-describedby": string | undefined;
  "aria-invalid": boolean | undefined;
}

/** Anything that has no better control: JSON, taken over as soon as it can be read. */
function JsonInput({ shared, value, onChange, example }: { shared: Shared; value: Value; onChange: (value: Value) => void; example: unknown }) {
  const [draft, setDraft] = useState(value === undefined ? "" : JSON.stringify(value, null, 2));
  const [broken, setBroken] = useState(false);
  function take(next: string): void {
    setDraft(next);
    try {
      onChange(next.trim() ? JSON.parse(next) : undefined);
      setBroken(false);
    } catch {
      setBroken(true);
    }
  }
  return (
    <>
      <textarea {...shared} className="code" aria-invalid={broken || shared["aria-invalid"]} value={draft} placeholder={example === undefined ? "{ }" : JSON.stringify(example)} onChange={(event) => take(event.target.value)} />
      {broken && <span className="field-error">This is not JSON yet.</span>}
    </>
  );
}

function text(value: Value): string {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? value : typeof value === "object" ? JSON.stringify(value) : String(value as number);
}

function shown(value: unknown): string {
  return value === undefined || value === null ? "" : text(value);
}

function lines(value: string): string[] | undefined {
  const found = value.split("\n").filter((one) => one !== "");
  return found.length ? found : undefined;
}

/** A JSON document for inputs of runs, with what is wrong with it. */
export function JsonField({ label, value, onChange, hint }: { label: string; value: string; onChange: (value: string) => void; hint?: string }) {
  const id = useId();
  const wrong = value.trim() !== "" && json(value) === undefined;
  return (
    <div className="field">
      <label className="field-name" htmlFor={id}>{label}</label>
      <textarea id={id} className="code" value={value} aria-invalid={wrong || undefined} onChange={(event) => onChange(event.target.value)} />
      {hint && <span className="hint">{hint}</span>}
      {wrong && <span className="field-error">This is not JSON yet.</span>}
    </div>
  );
}

export function json(value: string): { value: unknown } | undefined {
  try {
    return { value: value.trim() ? JSON.parse(value) : undefined };
  } catch {
    return undefined;
  }
}

export function Buttons({ busy, main, onCancel }: { busy: boolean; main: string; onCancel?: () => void }) {
  return (
    <div className="actions">
      <Button type="submit" kind="main" disabled={busy}>{busy ? "Working …" : main}</Button>
      {onCancel && <Button onClick={onCancel}>Cancel</Button>}
    </div>
  );
}
