import { lazy, Suspense, useState } from "react";
import { Link } from "wouter";
import { useGet, usePages, useSend } from "../lib/hooks";
import type { Run, Trigger, Workflow } from "../lib/types";
import { Button, Dialog, Empty, LinkButton, Loaded, Loading, Page, Panel, Status, Switch, Twin, When } from "../parts/basic";
import { json, whole } from "../parts/controls";
import { JsonField, Buttons } from "../parts/form";
import { RunTable } from "../parts/run-table";
import { TypeMark } from "../parts/icon";
import { Effective } from "./workflows";
import { graphOf } from "../lib/graph-of";

const Graph = lazy(() => import("../parts/graph"));

export default function WorkflowPage({ id }: { id: string }) {
  const found = useGet<Workflow>(`/api/v1/workflows/${id}`);
  return found.data ? <Shown workflow={found.data} /> : <Page title="Workflow"><Loaded of={found}>{() => null}</Loaded></Page>;
}

function Shown({ workflow }: { workflow: Workflow }) {
  const runs = usePages<Run>("/api/v1/runs", { workflow: workflow.id }, 20);
  const [starting, setStarting] = useState(false);
  const act = useSend();
  const live = workflow.live_version !== null;
  const jobs = graphOf(workflow.definition);
  return (
    <Page
      title={workflow.name}
      about={workflow.definition.description}
      actions={
        <>
          <Button kind="main" disabled={!live} onClick={() => setStarting(true)} {...(live ? {} : { title: "Deploy it first" })}>Run now</Button>
          {live && workflow.live_version === workflow.version ? (
            <Button onClick={() => act.mutate({ path: `/api/v1/deployment/workflows/${workflow.id}/undeploy`, body: {} })}>Undeploy</Button>
          ) : (
            <Button kind="main" onClick={() => act.mutate({ path: `/api/v1/deployment/workflows/${workflow.id}/deploy`, body: {} })}>Deploy version {workflow.version}</Button>
          )}
          <Button onClick={() => act.mutate({ path: `/api/v1/workflows/${workflow.id}/${workflow.paused ? "resume" : "pause"}`, body: {} })}>{workflow.paused ? "Resume" : "Pause"}</Button>
          <LinkButton href={`/workflows/${workflow.id}/edit`}>Edit</LinkButton>
          <LinkButton href={`/workflows/${workflow.id}/versions`}>Versions</LinkButton>
          <LinkButton href={whyNot(workflow)}>Why did it not run?</LinkButton>
        </>
      }
    >
      <p className="row under-title">
        <Effective workflow={workflow} />
        <span className="muted">version {workflow.live_version ?? workflow.version}{live ? " is live" : ", not deployed"}</span>
        {live && workflow.live_version !== workflow.version && <span className="muted">version {workflow.version} is not deployed yet</span>}
        {workflow.paused_until && <span className="muted">goes on <When at={workflow.paused_until} /></span>}
      </p>
      {act.error && <p className="field-error" role="alert">{act.error.message}</p>}
      {workflow.deployment_error && <p className="field-error" role="alert">{workflow.deployment_error}</p>}
      <Triggers workflow={workflow} />
      <Panel title="Jobs">
        {jobs.length === 0 ? <Empty title="It has no jobs." /> : (
          <Suspense fallback={<Loading what="Drawing" />}><Graph jobs={jobs} label={`Jobs of ${workflow.name}`} height={Math.min(420, 140 + jobs.length * 26)} /></Suspense>
        )}
      </Panel>
      <Panel title="Recent runs" actions={<Link href={`/runs?workflow=${encodeURIComponent(workflow.name)}`}>All runs</Link>}>
        <Loaded of={runs}>
          {(items) => items.length === 0 ? <Empty title="It has not run yet." /> : <RunTable runs={items.slice(0, 20)} label="Recent runs" />}
        </Loaded>
      </Panel>
      {starting && <RunNow workflow={workflow} onClose={() => setStarting(false)} />}
    </Page>
  );
}

/** The explanation of the only trigger, or the choice among several. */
function whyNot({ name, triggers }: Workflow): string {
  const [only] = triggers;
  return triggers.length === 1 && only ? `/explain?ref=${encodeURIComponent(`${name}/${only.name}`)}` : `/explain?workflow=${encodeURIComponent(name)}`;
}

function Triggers({ workflow }: { workflow: Workflow }) {
  const triggers = workflow.triggers;
  return (
    <Panel
      title={`Triggers (${triggers.length}) - Workflow runs when ANY trigger fires`}
      actions={<LinkButton href={`/workflows/${workflow.id}/triggers/new`} kind="main">Add another trigger</LinkButton>}
    >
      <p className="muted">Each trigger fires this workflow independently</p>
      {triggers.length === 0 ? (
        <Empty title="Nothing starts it but a person."><p>Add a trigger, or use Run now.</p></Empty>
      ) : (
        <ul className="trigger-list">
          {triggers.map((trigger) => <TriggerRow key={trigger.id} trigger={trigger} live={workflow.live_version !== null} />)}
        </ul>
      )}
    </Panel>
  );
}

/** When it fires next; a trigger that hears events has no such time. */
function NextFire({ trigger, live }: { trigger: Trigger; live: boolean }) {
  if (trigger.paused) return <Status value="PAUSED" />;
  if (trigger.mode !== "enabled") return <span className="muted">{trigger.mode}</span>;
  if (!live) return <span className="muted">Fires once it is deployed</span>;
  if (trigger.type === "manual") return <span className="muted">Fires when somebody starts it</span>;
  if (!trigger.next_fire_at) return TIMERS.has(trigger.type) ? <span className="muted">No more fires</span> : <span className="muted">Fires when something comes</span>;
  return <><span className="muted">Next fire </span><When at={trigger.next_fire_at} zone={String(trigger.config["timezone"] ?? "UTC")} /></>;
}

const TIMERS = new Set(["cron", "interval", "once", "rrule"]);

function TriggerRow({ trigger, live }: { trigger: Trigger; live: boolean }) {
  const act = useSend();
  const [sure, setSure] = useState(false);
  const path = `/workflows/${trigger.workflow_id}/triggers/${trigger.id}`;
  const on = trigger.mode === "enabled";
  return (
    <li className="trigger-row">
      <Switch on={on} label={`${trigger.name} is enabled`} disabled={act.isPending} onChange={(next) => act.mutate({ path: `/api/v1/triggers/${trigger.id}/mode`, body: { mode: next ? "enabled" : "disabled" } })} />
      <div className="trigger-name">
        <Link href={path} className="strong">{trigger.name}</Link>
        <span className="row tight"><TypeMark type={trigger.type} /> <code>{inWords(trigger)}</code></span>
        {trigger.condition && <span className="muted">if <code>{trigger.condition}</code></span>}
        {trigger.error && <span className="field-error">{trigger.error}</span>}
        {act.error && <span className="field-error">{act.error.message}</span>}
      </div>
      <div><NextFire trigger={trigger} live={live} /></div>
      <div>
        <span className="muted">Last decision </span>
        {trigger.last_decision ? (
          <Link href={`/events/${trigger.last_decision.event_id}`}><Status value={trigger.last_decision.outcome} /> <When at={trigger.last_decision.decided_at} /></Link>
        ) : <span className="muted">none yet</span>}
      </div>
      {sure ? (
        <div className="actions">
          <Button kind="danger" onClick={() => act.mutate({ path: `/api/v1/triggers/${trigger.id}`, method: "DELETE" })}>Delete {trigger.name}</Button>
          <Button onClick={() => setSure(false)}>Keep</Button>
        </div>
      ) : (
        <Button kind="quiet" label={`Delete ${trigger.name}`} onClick={() => setSure(true)}>Delete</Button>
      )}
    </li>
  );
}

/** The part of a configuration that names what a trigger listens to. */
export function inWords(trigger: Trigger): string {
  const config = trigger.config;
  const known = ["cron", "every", "run_at", "rrule", "path", "event", "repository", "channel", "topic", "stream", "subject", "url", "workflow"];
  const name = known.find((one) => config[one] !== undefined);
  if (!name) return "";
  const value = config[name];
  return name === "every" && typeof value === "number" ? `every ${value} s` : `${String(value)}${config["timezone"] ? ` ${String(config["timezone"])}` : ""}`;
}

function RunNow({ workflow, onClose }: { workflow: Workflow; onClose: () => void }) {
  const [input, setInput] = useState("");
  const [started, setStarted] = useState<string | null>(null);
  const start = useSend<{ run_id: string | null }>((value) => setStarted(value.run_id));
  const body = json(input)?.value === undefined ? {} : { input: json(input)?.value };
  const path = `/api/v1/triggers/workflows/${workflow.id}/manual`;
  return (
    <Dialog title={`Run ${workflow.name} now`} onClose={onClose}>
      {started ? (
        <div className="stack">
          <p>It has started.</p>
          <div className="actions"><LinkButton href={`/runs/${started}`} kind="main">Open the run</LinkButton></div>
        </div>
      ) : (
        <form className="stack" noValidate onSubmit={whole(() => start.mutate({ path, body }))}>
          <JsonField label="Input" value={input} onChange={setInput} hint="JSON; empty for none." />
          {start.error && <p className="field-error" role="alert">{start.error.message}</p>}
          <Buttons busy={start.isPending} main="Start" onCancel={onClose} />
          <Twin cli={`workflow-scheduler run ${workflow.name}${input.trim() ? ` --input '${input}'` : ""}`} path={path} sending={{ body }} />
        </form>
      )}
    </Dialog>
  );
}
