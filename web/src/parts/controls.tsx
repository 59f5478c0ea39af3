/** The controls that a form has beside the plain ones of the browser. */

import { useId, useState, type FormEvent } from "react";
import { Link } from "wouter";
import { useGet } from "../lib/hooks";
import type { Page, Schema, Workflow } from "../lib/types";
import { Button } from "./basic";

type Change = (value: unknown) => void;

export interface Shared {
  id: string;
  "aria-describedby": string | undefined;
  "aria-invalid": boolean | undefined;
}

interface Given {
  shared: Shared;
  value: unknown;
  onChange: Change;
}

/** Submits a form in which everything can be read; else its first field that cannot is shown, as it would be lost. */
export function whole(submit: () => void): (event: FormEvent<HTMLFormElement>) => void {
  return (event) => {
    event.preventDefault();
    const field = event.currentTarget.querySelector<HTMLElement>("[data-unread]");
    if (field) field.focus();
    else submit();
  };
}

/** Anything that has no better control: JSON, taken over as soon as it can be read. */
export function JsonInput({ shared, value, onChange, example }: Given & { example: unknown }) {
  const [draft, setDraft] = useState(written(value));
  const read = json(draft);
  const kept = read === undefined || JSON.stringify(read.value) === JSON.stringify(value);
  function take(next: string): void {
    setDraft(next);
    const found = json(next);
    if (found) onChange(found.value);
  }
  return (
    <>
      <textarea
        {...shared}
        className="code"
        rows={3}
        data-unread={read === undefined || undefined}
        aria-invalid={read === undefined || shared["aria-invalid"]}
        value={kept ? draft : written(value)}
        placeholder={example === undefined ? "{ }" : JSON.stringify(example)}
        onChange={(event) => take(event.target.value)}
      />
      {read === undefined && <span className="field-error">This is not JSON yet.</span>}
    </>
  );
}

function written(value: unknown): string {
  return value === undefined ? "" : JSON.stringify(value, null, 2);
}

export function json(value: string): { value: unknown } | undefined {
  try {
    return { value: value.trim() ? JSON.parse(value) : undefined };
  } catch {
    return undefined;
  }
}

/** Texts, one in each line. Where one alone may stand without a list, it does. */
export function Lines({ shared, value, onChange, placeholder, alone }: Given & { placeholder: string; alone: boolean }) {
  const [draft, setDraft] = useState(joined(value));
  const shown = joined(lines(draft)) === joined(value) ? draft : joined(value);
  function take(next: string): void {
    setDraft(next);
    const found = lines(next);
    onChange(alone && found?.length === 1 && !Array.isArray(value) ? found[0] : found);
  }
  return <textarea {...shared} className="lines" rows={Math.min(8, Math.max(1, shown.split("\n").length))} value={shown} placeholder={placeholder} onChange={(event) => take(event.target.value)} />;
}

function joined(value: unknown): string {
  return Array.isArray(value) ? value.join("\n") : typeof value === "string" ? value : "";
}

function lines(value: string): string[] | undefined {
  const found = value.split("\n").filter((one) => one !== "");
  return found.length ? found : undefined;
}

/** Some of a few words. */
export function Checks({ shared, value, onChange, options, fallback }: Given & { options: string[]; fallback: unknown }) {
  const held = Array.isArray(value) ? (value as string[]) : Array.isArray(fallback) ? (fallback as string[]) : [];
  const all = [...new Set([...options, ...held])];
  function turn(name: string, on: boolean): void {
    const next = on ? [...held, name] : held.filter((one) => one !== name);
    onChange(next.length ? next : undefined);
  }
  return (
    <div {...shared} role="group" className="row tight">
      {all.map((one) => (
        <label key={one} className="row tight"><input type="checkbox" checked={held.includes(one)} onChange={(event) => turn(one, event.target.checked)} /> {one}</label>
      ))}
    </div>
  );
}

/** A text with what is known to be one: time zones, connections, workflows. */
export function Suggest({ shared, value, onChange, placeholder, options }: Given & { placeholder: string; options: string[] }) {
  const list = useId();
  return (
    <>
      <input {...shared} list={list} value={typeof value === "string" ? value : ""} placeholder={placeholder} onChange={(event) => onChange(event.target.value || undefined)} />
      <datalist id={list}>{options.map((one) => <option key={one} value={one} />)}</datalist>
    </>
  );
}

export const timeZones = ["UTC", ...Intl.supportedValuesOf("timeZone")];

interface Connection {
  name: string;
  kind: string;
}

/** The name of a connection; where there is none of the kind, where to make one. */
export function ConnectionInput({ kind, ...given }: Given & { kind: string | undefined }) {
  const found = useGet<Page<Connection>>("/api/v1/connections", { limit: 200 });
  const names = found.data?.items.filter((one) => !kind || one.kind === kind).map((one) => one.name) ?? [];
  return (
    <>
      <Suggest {...given} placeholder={names[0] ?? ""} options={names} />
      {found.data && names.length === 0 && <span className="hint">There is no connection{kind ? ` of kind ${kind}` : ""} yet. <Link href="/connections">Add one</Link></span>}
    </>
  );
}

const WALL = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?$/;

/** An instant as text, or picked from a calendar. */
export function Moment({ shared, value, onChange, placeholder }: Given & { placeholder: string }) {
  const text = typeof value === "string" ? value : "";
  return (
    <div className="beside">
      <input {...shared} value={text} placeholder={placeholder} onChange={(event) => onChange(event.target.value || undefined)} />
      <input type="datetime-local" aria-label="Pick a time" min={new Date().toISOString().slice(0, 16)} value={WALL.test(text) ? text : ""} onChange={(event) => onChange(event.target.value ? event.target.value.padEnd(19, ":00") : undefined)} />
    </div>
  );
}

interface Member {
  workflow: string;
  condition?: string;
  [more: string]: unknown;
}

const ENDS: [string, string][] = [["on_success", "succeeded"], ["on_failure", "failed"], ["on_completion", "ended, however"]];

/** Workflows that are waited for, each with how its run must end. */
export function Members({ shared, value, onChange }: Given) {
  const workflows = useGet<Page<Workflow>>("/api/v1/workflows", { limit: 200 });
  const held = (Array.isArray(value) ? value : []).map((one): Member => (typeof one === "string" ? { workflow: one } : (one as Member)));
  const known = workflows.data?.items.map((one) => one.name) ?? [];
  const free = known.filter((name) => !held.some((one) => one.workflow === name));
  function put(next: Member[]): void {
    onChange(next.length ? next : undefined);
  }
  return (
    <div className="stack tight">
      {held.map((one, index) => (
        <div key={one.workflow} className="row tight">
          <span className="strong">{one.workflow}</span> has
          <select className="small" aria-label={`How ${one.workflow} must end`} value={one.condition ?? "on_success"} onChange={(event) => put(held.map((other, at) => (at === index ? { ...other, condition: event.target.value } : other)))}>
            {ENDS.map(([name, words]) => <option key={name} value={name}>{words}</option>)}
          </select>
          <Button kind="quiet" label={`Wait no more for ${one.workflow}`} onClick={() => put(held.filter((other) => other !== one))}>✕</Button>
        </div>
      ))}
      <select {...shared} value="" onChange={(event) => event.target.value && put([...held, { workflow: event.target.value }])}>
        <option value="">{free.length ? "add a workflow …" : "there is no other workflow"}</option>
        {free.map((one) => <option key={one}>{one}</option>)}
      </select>
    </div>
  );
}

/** The words of a schema for its values. */
export function labelOf(schema: Schema, value: unknown): string {
  const labels = schema.ui?.["labels"] as Record<string, string> | undefined;
  return labels?.[String(value)] ?? String(value);
}
