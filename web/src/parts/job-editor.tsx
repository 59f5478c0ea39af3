/** One job of the builder: its name, what it does, what it waits for and when it runs. */

import { useId, useState } from "react";
import type { FieldError } from "../lib/api";
import { CONDITIONS, kindOf, needEntries, type Need } from "../lib/graph-of";
import { useGet } from "../lib/hooks";
import type { Job, Schema } from "../lib/types";
import { Button, Panel, Told } from "./basic";
import { SchemaForm, unplaced, type Values } from "./form";

const RULES: [string, string][] = [
  ["all_success", "on success: all it needs have succeeded"],
  ["at_least_one_failed", "on failure: one of those has failed"],
  ["all_done", "on completion: all of those have ended"],
  ["at_least_one_success", "one of those has succeeded"],
  ["all_failed", "all of those have failed"],
  ["none_failed", "none of those has failed"],
];
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_-]*$/;

interface JobEditorProps {
  id: string;
  job: Job;
  others: string[];
  /** What is wrong with this job. */
  errors: FieldError[];
  onConnect: (from: string) => void;
  onNeeds: (needs: Need[]) => void;
  /** Take over several settings at once; what is undefined is taken away. */
  onSet: (changes: Record<string, unknown>) => void;
  onRename: (next: string) => void;
  onRemove: () => void;
}

interface SchemaDocument {
  $defs?: Record<string, Schema>;
}

const OURS = ["run", "if", "needs", "run_if"];

export function JobEditor({ id, job, others, errors, onConnect, onNeeds, onSet, onRename, onRemove }: JobEditorProps) {
  const schema = useGet<SchemaDocument>("/schemas/workflow/v1.json");
  const what = useId();
  const rules = ruleNames(schema.data) ?? RULES.map(([rule]) => rule);
  const kind = kindOf(job);
  const needs = needEntries(job);
  const free = others.filter((one) => !needs.some((need) => need.job === one));
  const settings = settingsOf(schema.data, kind);
  const short = kind === "run" && job.uses === undefined;
  const spread = unplaced(short ? undefined : settings, errors).filter((one) => !OURS.some((name) => one.field.endsWith(`.${name}`)));
  const wrong = (name: string) => errors.find((one) => one.field.endsWith(`.${name}`))?.message;

  function setKind(next: string): void {
    if (next === "run") onSet({ uses: undefined, with: undefined, run: "echo hello" });
    else onSet({ run: undefined, with: undefined, uses: next });
  }

  return (
    <Panel title={`Job ${id}`} actions={<Button kind="danger" onClick={onRemove}>Remove</Button>}>
      <div className="stack">
        {spread.map((one, index) => <p key={index} className="field-error" role="alert"><Told text={one.message} /></p>)}
        <Name id={id} others={others} onRename={onRename} />
        <div className="field">
          <label className="field-name" htmlFor={what}>What it does</label>
          <select id={what} value={kind} onChange={(event) => setKind(event.target.value)}>
            {[...new Set([...kindsOf(schema.data), kind])].map((one) => <option key={one}>{one}</option>)}
          </select>
          {settings?.description && <span className="hint"><Told text={settings.description} /></span>}
        </div>
        {short && <label className="field"><span className="field-name">Command</span><textarea className="code" rows={3} value={String(job.run ?? "")} onChange={(event) => onSet({ run: event.target.value })} /><Wrong text={wrong("run")} /></label>}
        {!short && settings && <SchemaForm key={kind} schema={settings} value={(job.with ?? {}) as Values} errors={errors} onChange={(next) => onSet({ with: Object.keys(next).length ? next : undefined })} />}
        <div className="field">
          <span className="field-name">Waits for</span>
          <div className="row tight">
            {needs.map((need) => (
              <span key={need.job} className="row tight">
                {need.job}
                <select className="small" aria-label={`How ${need.job} must have ended`} value={need.condition} onChange={(event) => onNeeds(needs.map((one) => (one === need ? { ...one, condition: event.target.value } : one)))}>
                  {CONDITIONS.map((one) => <option key={one} value={one}>{one.replaceAll("_", " ")}</option>)}
                </select>
                <Button kind="quiet" label={`Wait no more for ${need.job}`} onClick={() => onNeeds(needs.filter((one) => one !== need))}>✕</Button>
              </span>
            ))}
            {needs.length === 0 && <span className="muted">nothing: it begins at once</span>}
            {free.length > 0 && (
              <select className="small" aria-label="Wait for another job" value="" onChange={(event) => event.target.value && onConnect(event.target.value)}>
                <option value="">add …</option>
                {free.map((one) => <option key={one}>{one}</option>)}
              </select>
            )}
          </div>
        </div>
        <label className="field">
          <span className="field-name">Runs</span>
          <select value={String(job.run_if ?? "all_success")} onChange={(event) => onSet({ run_if: event.target.value === "all_success" ? undefined : event.target.value })}>
            {rules.map((rule) => <option key={rule} value={rule}>{RULES.find(([one]) => one === rule)?.[1] ?? rule.replaceAll("_", " ")}</option>)}
          </select>
        </label>
        <label className="field"><span className="field-name">Only if (CEL)</span><input value={String(job.if ?? "")} aria-invalid={wrong("if") ? true : undefined} onChange={(event) => onSet({ if: event.target.value || undefined })} placeholder="for example jobs.first.output.ok" /><Wrong text={wrong("if")} /></label>
      </div>
    </Panel>
  );
}

function Wrong({ text }: { text: string | undefined }) {
  return text ? <span className="field-error"><Told text={text} /></span> : null;
}

/** The name of a job; Enter takes it over as the button does. */
function Name({ id, others, onRename }: { id: string; others: string[]; onRename: (next: string) => void }) {
  const field = useId();
  const [name, setName] = useState(id);
  const wrong = !NAME.test(name) ? "Letters, digits, dashes and underscores; no spaces." : others.includes(name) ? "Another job has this name." : undefined;
  function take(): void {
    if (!wrong && name !== id) onRename(name);
  }
  return (
    <div className="field">
      <label className="field-name" htmlFor={field}>Name</label>
      <div className="beside">
        <input id={field} value={name} aria-invalid={wrong ? true : undefined} onChange={(event) => setName(event.target.value)} onKeyDown={(event) => event.key === "Enter" && take()} />
        {name !== id && <Button disabled={wrong !== undefined} onClick={take}>Rename</Button>}
      </div>
      <Wrong text={wrong} />
    </div>
  );
}

function kindsOf(schema: SchemaDocument | undefined): string[] {
  return Object.keys(schema?.$defs ?? {}).flatMap((name) => /^job\.([^.]+)$/.exec(name)?.[1] ?? []);
}

/** What a job of a type is configured with. */
function settingsOf(schema: SchemaDocument | undefined, kind: string): Schema | undefined {
  const own = schema?.$defs?.[`job.${kind}`];
  return own && { ...own, $defs: schema.$defs ?? {} };
}

/** The rules that the service's schema names. */
function ruleNames(schema: SchemaDocument | undefined): string[] | undefined {
  return Object.values(schema?.$defs ?? {}).map((one) => one.properties?.["run_if"]?.enum).find((one) => one !== undefined) as string[] | undefined;
}
