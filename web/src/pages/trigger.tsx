import { useState } from "react";
import { Link, useLocation, useSearch } from "wouter";
import { useGet, usePages, useSend } from "../lib/hooks";
import type { Decision, Page as Items, Trigger, TriggerType, Workflow } from "../lib/types";
import { Button, Copy, Empty, Fact, Facts, Json, LinkButton, Loaded, Page, Panel, Refused, Status, Told, Twin, When } from "../parts/basic";
import type { Values } from "../parts/form";
import { whole } from "../parts/controls";
import { SchedulePreview } from "../parts/preview";
import { Table } from "../parts/table";
import { TryOut } from "../parts/try-out";
import { elsewhere, spelledOut, TriggerForm } from "../parts/trigger-form";
import { webhookCommand } from "../lib/webhook-command";
import { madeFor, makeSecrets, remember } from "../lib/secrets";

export default function TriggerPage({ id, tid }: { id: string; tid: string }) {
  const workflow = useGet<Workflow>(`/api/v1/workflows/${id}`);
  const types = useGet<Items<TriggerType>>("/api/v1/trigger-types");
  const trigger = useGet<Trigger>(tid === "new" ? null : `/api/v1/triggers/${tid}`);
  const made = tid === "new";
  const ready = workflow.data && types.data && (made || trigger.data);
  if (!ready) {
    const waiting = [workflow, types, trigger].find((one) => one.error) ?? workflow;
    return <Page title="Trigger"><Loaded of={{ data: undefined, error: waiting.error, refetch: waiting.refetch }}>{() => null}</Loaded></Page>;
  }
  return <Editor key={trigger.data?.revision ?? 0} workflow={workflow.data as Workflow} types={types.data?.items ?? []} trigger={trigger.data} />;
}

function Editor({ workflow, types, trigger }: { workflow: Workflow; types: TriggerType[]; trigger: Trigger | undefined }) {
  const [, navigate] = useLocation();
  const event = new URLSearchParams(useSearch()).get("event");
  const written = trigger ? (workflow.definition.triggers?.[trigger.name] ?? {}) : {};
  const [kind, setKind] = useState(trigger?.type ?? "");
  const [name, setName] = useState(trigger?.name ?? "");
  const [values, setValues] = useState<Values>(() => spelledOut(kind, without(written as Values, ["type", "enabled"])));
  const type = types.find((one) => one.name === kind);
  const save = useSend<Trigger>((saved) => { if (!trigger) navigate(`/workflows/${workflow.id}/triggers/${saved.id}`); });
  const errors = save.error?.errors ?? [];
  const label = name || kind || "trigger";
  const spread = elsewhere(type, errors);

  function choose(next: string, begun: Values): void {
    setKind(next);
    setValues(begun);
    save.reset();
    if (!trigger && (!name || types.some((one) => name === one.name.replaceAll("_", "-")))) setName(next.replaceAll("_", "-"));
  }

  async function submit(): Promise<void> {
    if (type) remember(workflow.id, name || kind, await makeSecrets(type, values));
    const body = { type: kind, ...values };
    if (trigger) save.mutate({ path: `/api/v1/triggers/${trigger.id}`, method: "PUT", body, headers: { "if-match": `"${trigger.revision}"` } });
    else save.mutate({ path: "/api/v1/triggers", body: { workflow: workflow.id, name: name || kind, ...body } });
  }

  return (
    <Page
      title={trigger ? `${workflow.name} / ${trigger.name}` : `Add a trigger to ${workflow.name}`}
      about={trigger ? "What starts this workflow, and what it did." : "Each trigger fires this workflow independently"}
      actions={<LinkButton href={`/workflows/${workflow.id}`}>Back to the workflow</LinkButton>}
    >
      {trigger && <Standing trigger={trigger} />}
      {trigger && <Kept trigger={trigger} />}
      {trigger?.type === "workflow" && <Joins trigger={trigger} />}
      {trigger && <Address trigger={trigger} />}
      <div className="columns">
        <Panel title="What starts it">
          <form className="stack" noValidate onSubmit={whole(() => void submit())}>
            <TriggerForm {...{ types, kind, values, errors }} owner={workflow.name} settled={trigger !== undefined} onKind={choose} onChange={setValues}>
              {type && !trigger && (
                <label className="field">
                  <span className="field-name">Name</span>
                  <input value={name} onChange={(change) => setName(change.target.value)} />
                </label>
              )}
            </TriggerForm>
            {save.error && (errors.length > 0 && spread.length === 0 ? <p className="field-error" role="alert">It was not saved: see the {errors.length === 1 ? "field" : `${errors.length} fields`} above.</p> : <Refused by={save.error} />)}
            {save.isSuccess && <p className="notice" role="status">Saved. It is live as version {save.data.workflow_version ?? "new"}.</p>}
            {kind === "" ? <p className="muted">Without a trigger only people start it, with Run now.</p> : (
              <div className="actions">
                <Button type="submit" kind="main" disabled={save.isPending}>{save.isPending ? "Saving …" : trigger ? "Save" : `Add ${label}`}</Button>
              </div>
            )}
          </form>
        </Panel>
        <div>
          {type?.shape === "timer" && <SchedulePreview type={kind} values={values} />}
          {trigger && <TryOut trigger={trigger} event={event} />}
          {type && <Panel title="About this type">{type.documentation.split("\n\n").map((one, index) => <p key={index} className="prose">{one.replaceAll("\n", " ").replaceAll("`", "")}</p>)}{type.extras && <p className="muted">Needs the extra <code>{type.extras}</code>.</p>}</Panel>}
        </div>
      </div>
      {trigger && <Decisions trigger={trigger} />}
    </Page>
  );
}

function without(values: Values, names: string[]): Values {
  return Object.fromEntries(Object.entries(values).filter(([name]) => !names.includes(name)));
}

interface Health {
  status: string;
  summary: string;
  late_seconds: number;
  decisions_24h: Record<string, number>;
  source: { status?: string; error?: { message: string } | null; lag?: number | null; last_event_at?: string | null; proven_at?: string | null } | null;
  refused?: { at: string; why: string } | null;
}

function Standing({ trigger }: { trigger: Trigger }) {
  const health = useGet<Health>(`/api/v1/triggers/${trigger.id}/health`);
  return (
    <Panel title="How it stands">
      <Loaded of={health}>
        {(found) => (
          <>
            <p><Told text={found.summary} /></p>
            {found.refused && <p className="notice bad" role="status">A request was refused <When at={found.refused.at} />: <Told text={found.refused.why} /> It left no event, so no decision stands below.</p>}
            <Facts>
              <Fact name="State"><Status value={trigger.paused ? "paused" : trigger.mode} /></Fact>
              <Fact name="Health"><Status value={found.status} /></Fact>
              {trigger.next_fire_at && <Fact name="Next fire"><When at={trigger.next_fire_at} zone={String(trigger.config["timezone"] ?? "UTC")} /></Fact>}
              {trigger.last_fired_at && <Fact name="Last fire"><When at={trigger.last_fired_at} /></Fact>}
              <Fact name="Last 24 hours">{Object.entries(found.decisions_24h).map(([outcome, count]) => `${count} ${outcome.replaceAll("_", " ")}`).join(", ") || "nothing decided"}</Fact>
              {found.source && <Fact name="Source"><Status value={found.source.status ?? "waiting"} /> {found.source.error?.message}</Fact>}
              {found.source?.proven_at && <Fact name="Last proven alive"><When at={found.source.proven_at} /></Fact>}
            </Facts>
          </>
        )}
      </Loaded>
    </Panel>
  );
}

interface Released {
  count: number;
  runs?: number;
  more: boolean;
}

/** What the trigger keeps and does not run: while it is suspended, or because it could not decide. */
function Kept({ trigger }: { trigger: Trigger }) {
  const health = useGet<Health>(`/api/v1/triggers/${trigger.id}/health`);
  const act = useSend<Released>();
  const counts = health.data?.decisions_24h ?? {};
  const kept = (counts["suspended"] ?? 0) + (counts["held"] ?? 0);
  if (trigger.mode !== "suspended" && kept === 0) return null;
  const path = `/api/v1/triggers/${trigger.id}`;
  const off = trigger.mode !== "enabled";
  return (
    <Panel title="What it keeps">
      <p className="muted">{off ? "It keeps what comes. Enable it, then release what it kept or give it up." : `${kept} events were kept in the last 24 hours.`}</p>
      <div className="actions">
        {off ? <Button kind="main" onClick={() => act.mutate({ path: `${path}/mode`, body: { mode: "enabled" } })}>Enable</Button> : <Button kind="main" disabled={act.isPending} onClick={() => act.mutate({ path: `${path}/release` })}>Release what is kept</Button>}
        <Button kind="danger" disabled={act.isPending} onClick={() => act.mutate({ path: `${path}/discard` })}>Discard what is kept</Button>
      </div>
      {act.error && <p className="field-error" role="alert">{act.error.message}</p>}
      {act.data?.count !== undefined && <p role="status">{act.data.count} done{act.data.runs === undefined ? "" : `, ${act.data.runs} runs started`}{act.data.more ? "; some are left" : ""}.</p>}
      <Twin cli={`workflow-scheduler trigger release ${trigger.workflow}/${trigger.name}`} path={`${path}/release`} />
    </Panel>
  );
}

interface Rounds {
  items?: { key?: unknown; value?: unknown; arrived?: unknown[]; missing?: unknown; due_at?: string | null }[];
}

/** Which ends have arrived for a trigger that waits for several workflows, and which are missing. */
function Joins({ trigger }: { trigger: Trigger }) {
  const found = useGet<Rounds>(`/api/v1/triggers/${trigger.id}/joins`);
  const reset = useSend();
  return (
    <Panel title="What has arrived" actions={<Button disabled={reset.isPending} onClick={() => reset.mutate({ path: `/api/v1/triggers/${trigger.id}/joins`, method: "DELETE" })}>Forget what arrived</Button>}>
      <Loaded of={found}>{(rounds) => (rounds.items?.length ? <Json value={rounds.items} label="Rounds" /> : <Empty title="No end is waiting for others." />)}</Loaded>
    </Panel>
  );
}

/** Where others send what this trigger waits for. */
function Address({ trigger }: { trigger: Trigger }) {
  const secrets = madeFor(trigger.workflow_id, trigger.name);
  const push = trigger.type === "webhook";
  if (!push && secrets.length === 0) return null;
  const address = `${location.origin}/api/v1/public/webhook/${String(trigger.config["path"] ?? trigger.id).replace(/^\/|\/$/g, "")}`;
  const command = webhookCommand(address, trigger.config, secrets);
  return (
    <Panel title="Where to send it">
      {push && <div className="command"><code>{address}</code><Copy text={address}>Copy the address</Copy></div>}
      {secrets.map((one) => (
        <div className="command" key={one.name}><span>Secret <code>{one.name}</code>, shown once: <code>{one.value}</code></span><Copy text={one.value}>Copy the secret</Copy></div>
      ))}
      {push && <div className="command"><code>{command}</code><Copy text={command}>Copy the command</Copy></div>}
    </Panel>
  );
}

function Decisions({ trigger }: { trigger: Trigger }) {
  const list = usePages<Decision>(`/api/v1/triggers/${trigger.id}/decisions`, {}, 50);
  return (
    <Panel title="Last 50 decisions" actions={<LinkButton href={`/workflows/${trigger.workflow_id}/versions`}>Versions</LinkButton>}>
      <Loaded of={list}>
        {(items) => items.length === 0 ? <Empty title="It has decided nothing yet."><p>Nothing came that it listens to.</p></Empty> : (
          <Table
            label="Decisions"
            rows={items.slice(0, 50)}
            id={(row) => row.event_id}
            columns={[
              { name: "When", cell: (row) => <When at={row.decided_at} /> },
              { name: "Outcome", cell: (row) => <Status value={row.outcome} /> },
              { name: "Why", cell: (row) => row.summary.replaceAll("*", "") },
              { name: "Event", cell: (row) => <Link href={`/events/${row.event_id}`}>explain</Link> },
              { name: "Run", cell: (row) => (row.run_id ? <Link href={`/runs/${row.run_id}`}>open</Link> : <span className="muted">–</span>) },
            ]}
          />
        )}
      </Loaded>
    </Panel>
  );
}
