import { lazy, Suspense, useEffect, useMemo, useState } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { useLocation } from "wouter";
import { Document, parse, parseDocument, stringify } from "yaml";
import { Problem, send, type FieldError } from "../lib/api";
import { graphOf, needEntries, needsOf, written, type Need } from "../lib/graph-of";
import { useGet } from "../lib/hooks";
import type { Definition, Workflow } from "../lib/types";
import { Button, LinkButton, Loaded, Loading, Page, Panel, Twin } from "../parts/basic";
import { JobEditor } from "../parts/job-editor";
import { Errors, YamlEditor } from "../parts/yaml";

const Graph = lazy(() => import("../parts/graph"));
const TYPED_MILLISECONDS = 350;

export default function Edit({ id }: { id: string }) {
  const found = useGet<Workflow>(`/api/v1/workflows/${id}`);
  return found.data ? <Builder key={id} workflow={found.data} /> : <Page title="Edit"><Loaded of={found}>{() => null}</Loaded></Page>;
}

interface Checked {
  valid: boolean;
  errors: FieldError[];
  warnings: (string | { message: string })[];
}

/** Canvas and YAML of one document: each change is made in the YAML, whose comments stay. */
function Builder({ workflow }: { workflow: Workflow }) {
  const before = useMemo(() => stringify(workflow.definition, { lineWidth: 110 }), [workflow.definition]);
  const [text, setText, forget] = useDraft(`${workflow.id} ${workflow.revision}`, before);
  const [picked, pick] = useState<string | undefined>();
  const [refused, setRefused] = useState<string | null>(null);
  const [checked, setChecked] = useState<Checked>({ valid: true, errors: [], warnings: [] });
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const [, navigate] = useLocation();
  const client = useQueryClient();
  const definition = useMemo(() => read(text), [text]);
  const jobs = definition?.jobs ?? {};
  const graph = useMemo(
    () => (definition ? graphOf(definition) : []).map((one) => ({ ...one, wrong: errorsOf(one.id, checked.errors).length > 0 })),
    [definition, checked],
  );

  useEffect(() => {
    const timer = window.setTimeout(() => {
      send<Checked>("/api/v1/workflows/validate", { yaml: text }).then(setChecked).catch(() => undefined);
    }, TYPED_MILLISECONDS);
    return () => window.clearTimeout(timer);
  }, [text]);

  function change(make: (document: Document) => void): void {
    const document = parseDocument(text);
    make(document);
    setText(document.toString({ lineWidth: 110 }));
  }

  function connect(from: string, to: string): void {
    const circle = path(jobs, to, from);
    if (circle) {
      setRefused(`This would be a circle: ${[...circle, to].join(" → ")}. A job cannot wait for itself.`);
      return;
    }
    setRefused(null);
    const needs = needEntries(jobs[to] ?? {});
    if (!needs.some((one) => one.job === from)) setNeeds(to, [...needs, { job: from, condition: "on_success" }]);
  }

  function setNeeds(id: string, needs: Need[]): void {
    change((document) => putNeeds(document, id, needs));
  }

  function disconnect(from: string, to: string): void {
    setNeeds(to, needEntries(jobs[to] ?? {}).filter((one) => one.job !== from));
  }

  function add(): void {
    let number = Object.keys(jobs).length + 1;
    while (jobs[`job-${number}`]) number += 1;
    change((document) => document.setIn(["jobs", `job-${number}`], document.createNode({ uses: "noop" })));
    pick(`job-${number}`);
  }

  async function save(deploy: boolean): Promise<void> {
    setBusy(true);
    setProblem(null);
    try {
      await send(`/api/v1/workflows/${workflow.id}`, { method: "PUT", yaml: text, headers: { "if-match": `"${workflow.revision}"` } });
      if (deploy) await send(`/api/v1/deployment/workflows/${workflow.id}/deploy`, { body: {} });
      forget();
      await client.invalidateQueries();
      navigate(`/workflows/${workflow.id}`);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setProblem(error);
    } finally {
      setBusy(false);
    }
  }

  const changed = text !== before;
  const errors = problem?.errors.length ? problem.errors : checked.errors;
  return (
    <Page
      title={`Edit ${workflow.name}`}
      about="Draw from the end of a job to the begin of the one that waits for it, or write YAML: it is one document."
      actions={
        <>
          <Button onClick={add}>Add a job</Button>
          <Button disabled={busy} onClick={() => void save(false)}>Save</Button>
          <Button kind="main" disabled={busy} onClick={() => void save(true)}>Save and deploy</Button>
          <LinkButton href={`/workflows/${workflow.id}`}>Back</LinkButton>
        </>
      }
    >
      {changed && <p className="notice row" role="status">Not saved yet. <Button onClick={() => { setText(before); pick(undefined); }}>Discard the changes</Button></p>}
      {refused && <p className="notice bad" role="alert">{refused}</p>}
      <Errors errors={errors} detail={problem?.message} />
      {checked.warnings.map((one, index) => <p className="notice" key={index}>{typeof one === "string" ? one : one.message}</p>)}
      <div className="columns">
        <div>
          <Panel title="Canvas">
            {definition === null ? <p className="muted">The YAML cannot be read yet; the canvas shows it again as soon as it can.</p> : (
              <Suspense fallback={<Loading what="Drawing" />}>
                <Graph jobs={graph} picked={picked} onPick={pick} onConnect={connect} onDisconnect={disconnect} label="Canvas of jobs" height={430} />
              </Suspense>
            )}
          </Panel>
          {picked && jobs[picked] && (
            <JobEditor
              key={picked}
              id={picked}
              job={jobs[picked]}
              others={Object.keys(jobs).filter((one) => one !== picked)}
              onConnect={(from) => connect(from, picked)}
              onNeeds={(needs) => setNeeds(picked, needs)}
              errors={errorsOf(picked, errors)}
              onSet={(changes) => change((document) => put(document, picked, changes))}
              onRename={(next) => { setText(renamed(text, picked, next)); pick(next); }}
              onRemove={() => { setText(removed(text, picked)); pick(undefined); }}
            />
          )}
        </div>
        <Panel title="YAML"><YamlEditor value={text} onChange={setText} label="Workflow as YAML" rows={30} /></Panel>
      </div>
      <Twin cli={`workflow-scheduler deploy ${workflow.name}.yaml`} />
    </Page>
  );
}

/** A text that survives leaving the page, until it is saved or discarded. */
function useDraft(key: string, before: string): [string, (next: string) => void, () => void] {
  const name = `wfs-draft ${key}`;
  const [text, setText] = useState(() => sessionStorage.getItem(name) ?? before);
  useEffect(() => {
    if (text === before) sessionStorage.removeItem(name);
    else sessionStorage.setItem(name, text);
  }, [name, text, before]);
  return [text, setText, () => sessionStorage.removeItem(name)];
}

/** What is wrong with one job. */
function errorsOf(id: string, errors: FieldError[]): FieldError[] {
  return errors.filter((one) => one.field === `jobs.${id}` || one.field.startsWith(`jobs.${id}.`));
}

function put(document: Document, id: string, changes: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) document.deleteIn(["jobs", id, name]);
    else document.setIn(["jobs", id, name], document.createNode(value));
  }
}

function read(text: string): Definition | null {
  try {
    const value: unknown = parse(text);
    return typeof value === "object" && value !== null ? (value as Definition) : null;
  } catch {
    return null;
  }
}

type Jobs = NonNullable<Definition["jobs"]>;

/** The way by which `from` leads to `to` through needs, if there is one: to → … → from. */
function path(jobs: Jobs, from: string, to: string): string[] | null {
  if (from === to) return [from];
  const seen = new Set<string>();
  function search(at: string, way: string[]): string[] | null {
    if (at === from) return [...way, at].reverse();
    if (seen.has(at)) return null;
    seen.add(at);
    for (const need of needsOf(jobs[at] ?? {})) {
      const found = search(need, [...way, at]);
      if (found) return found;
    }
    return null;
  }
  return search(to, []);
}

function putNeeds(document: Document, id: string, needs: Need[]): void {
  if (needs.length) document.setIn(["jobs", id, "needs"], document.createNode(written(needs)));
  else document.deleteIn(["jobs", id, "needs"]);
}

function withNeeds(text: string, change: (needs: Need[]) => Need[], make: (document: Document) => void): string {
  const document = parseDocument(text);
  make(document);
  const jobs = ((document.toJS() as Definition).jobs ?? {}) as Jobs;
  for (const [id, job] of Object.entries(jobs)) {
    const before = needEntries(job);
    const after = change(before);
    if (JSON.stringify(after) !== JSON.stringify(before)) putNeeds(document, id, after);
  }
  return document.toString({ lineWidth: 110 });
}

function removed(text: string, id: string): string {
  return withNeeds(text, (needs) => needs.filter((one) => one.job !== id), (document) => document.deleteIn(["jobs", id]));
}

function renamed(text: string, id: string, next: string): string {
  return withNeeds(
    text,
    (needs) => needs.map((one) => (one.job === id ? { ...one, job: next } : one)),
    (document) => {
      document.setIn(["jobs", next], document.getIn(["jobs", id]));
      document.deleteIn(["jobs", id]);
    },
  );
}
