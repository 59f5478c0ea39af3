/** One job of the builder: its name, what it does, what it waits for and when it runs. */

import { useState } from "react";
import { stringify, parse } from "yaml";
import { CONDITIONS, kindOf, needEntries, type Need } from "../lib/graph-of";
import { useGet } from "../lib/hooks";
import type { Job } from "../lib/types";
import { Button, Panel } from "./basic";

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
  onConnect: (from: string) => void;
  onNeeds: (needs: Need[]) => void;
  onSet: (name: string, value: unknown) => void;
  onRename: (next: string) => void;
  onRemove: () => void;
}

interface SchemaDocument {
  $defs?: Record<string, { properties?: Record<string, { enum?: string[] }> }>;
}

export function JobEditor({ id, job, others, onConnect, onNeeds, onSet, onRename, onRemove }: JobEditorProps) {
  const [name, setName] = useState(id);
  const [settings, setSettings] = useState(() => (job.with ? stringify(job.with) : ""));
  const [broken, setBroken] = useState(false);
  const schema = useGet<SchemaDocument>("/schemas/workflow/v1.json");
  const rules = ruleNames(schema.data) ?? RULES.map(([rule]) => rule);
  const kinds = ["run", "python", "http", "sql", "email", "slack", "sleep_for", "sleep_until", "approval", "workflow", "emit", "noop"];
  const kind = kindOf(job);
  const needs = needEntries(job);
  const free = others.filter((one) => !needs.some((need) => need.job === one));

  function setKind(next: string): void {
    if (next === "run") {
      onSet("run", "echo hello");
      return;
    }
    if (job.run !== undefined) onSet("run", undefined);
    onSet("uses", next);
  }

  function write(next: string): void {
    setSettings(next);
    try {
      const value: unknown = next.trim() ? parse(next) : undefined;
      onSet("with", value);
      setBroken(false);
    } catch {
      setBroken(true);
    }
  }

  return (
    <Panel title={`Job ${id}`} actions={<Button kind="danger" onClick={onRemove}>Remove</Button>}>
      <div className="stack">
        <div className="row">
          <label className="field"><span className="field-name">Name</span><input value={name} onChange={(event) => setName(event.target.value)} /></label>
          {name !== id && <Button disabled={!NAME.test(name) || others.includes(name)} onClick={() => onRename(name)}>Rename</Button>}
        </div>
        <label className="field">
          <span className="field-name">What it does</span>
          <select value={kind} onChange={(event) => setKind(event.target.value)}>
            {[...new Set([...kinds, kind])].map((one) => <option key={one}>{one}</option>)}
          </select>
        </label>
        {kind === "run" && <label className="field"><span className="field-name">Command</span><textarea className="code" value={String(job.run ?? "")} onChange={(event) => onSet("run", event.target.value)} /></label>}
        {kind !== "run" && (
          <label className="field">
            <span className="field-name">Settings (`with`)</span>
            <textarea className="code" value={settings} aria-invalid={broken || undefined} onChange={(event) => write(event.target.value)} />
            {broken && <span className="field-error">This is not YAML yet.</span>}
          </label>
        )}
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
          <select value={String(job.run_if ?? "all_success")} onChange={(event) => onSet("run_if", event.target.value === "all_success" ? undefined : event.target.value)}>
            {rules.map((rule) => <option key={rule} value={rule}>{RULES.find(([one]) => one === rule)?.[1] ?? rule.replaceAll("_", " ")}</option>)}
          </select>
        </label>
        <label className="field"><span className="field-name">Only if (CEL)</span><input value={String(job.if ?? "")} onChange={(event) => onSet("if", event.target.value || undefined)} placeholder="jobs.first.output.ok" /></label>
      </div>
    </Panel>
  );
}

/** The rules that the service's schema names. */
function ruleNames(schema: SchemaDocument | undefined): string[] | undefined {
  return Object.values(schema?.$defs ?? {}).map((one) => one.properties?.["run_if"]?.enum).find((one) => one !== undefined);
}
