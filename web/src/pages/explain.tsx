import { useState } from "react";
import { Link } from "wouter";
import { useFilters, useGet } from "../lib/hooks";
import type { Decision, Page as Items, StoredEvent, Workflow } from "../lib/types";
import { Button, Empty, Fact, Facts, Loaded, Page, Panel, Status, Told, Twin, When } from "../parts/basic";
import { Funnel } from "../parts/funnel";
import { EventFunnel, type Explained } from "./event";

interface Why {
  kind: "event" | "run" | "trigger";
  summary: string;
  event?: StoredEvent;
  decision?: Decision;
  decisions?: Decision[];
  duplicates?: number;
  run?: { id: string; workflow: string; status: string };
  run_id?: string | null;
  trigger?: { id: string; name: string; workflow_id: string; workflow: string };
  nominal?: { local: string; utc: string; note: string | null } | null;
  nearest?: { before: { local: string } | null; after: { local: string } | null } | null;
  outcome?: string;
  reason?: string | null;
}

export default function Explain() {
  const [shown, change] = useFilters(["ref", "at", "workflow"]);
  const found = useGet<Why>(shown.ref ? "/api/v1/explain" : null, { ref: shown.ref, at: shown.at });
  return (
    <Page title="Explain" about="Why something ran, or did not: an event, a run, or a trigger at a time.">
      <Ask key={shown.workflow} workflow={shown.workflow} first={shown.ref} at={shown.at} onAsk={(ref, at) => change({ ref, at, workflow: "" })} />
      {shown.ref && <Loaded of={found}>{(why) => <Answer why={why} />}</Loaded>}
      {shown.ref && <Twin cli={`workflow-scheduler explain ${shown.ref}${shown.at ? ` --at ${shown.at}` : ""}`} />}
    </Page>
  );
}

function Ask({ workflow, first, at, onAsk }: { workflow: string; first: string; at: string; onAsk: (ref: string, at: string) => void }) {
  const [ref, setRef] = useState(first);
  const [time, setTime] = useState(at);
  const workflows = useGet<Items<Workflow>>("/api/v1/workflows", workflow ? { name: workflow } : { limit: 100 });
  const triggers = (workflows.data?.items ?? []).flatMap((one) => one.triggers.map((trigger) => `${one.name}/${trigger.name}`));
  return (
    <Panel title={workflow ? `Which trigger of ${workflow}?` : "What?"}>
      {workflow && (
        <div className="row">
          {triggers.map((one) => <Button key={one} onClick={() => onAsk(one, time)}>{one.split("/")[1]}</Button>)}
          {triggers.length === 0 && <Empty title="It has no triggers; only people start it." />}
        </div>
      )}
      <form className="row" onSubmit={(event) => { event.preventDefault(); onAsk(ref.trim(), time.trim()); }}>
        <label className="field grow"><span className="field-name">Event id, run id, or workflow/trigger</span>
          <input list="known-triggers" value={ref} onChange={(event) => setRef(event.target.value)} />
        </label>
        <label className="field"><span className="field-name">At (for a trigger)</span>
          <input value={time} placeholder="2027-03-14T02:30:00-05:00" onChange={(event) => setTime(event.target.value)} />
        </label>
        <Button type="submit" kind="main">Explain</Button>
      </form>
      <datalist id="known-triggers">{triggers.map((one) => <option key={one} value={one} />)}</datalist>
    </Panel>
  );
}

function Answer({ why }: { why: Why }) {
  if (why.kind === "event" && why.event) return <EventFunnel explained={why as unknown as Explained} />;
  return (
    <>
      <p className="notice strong"><Told text={why.summary.replaceAll("*", "")} /></p>
      {why.run && (
        <Panel title="The run">
          <Facts>
            <Fact name="State"><Status value={why.run.status} /></Fact>
            <Fact name="Run"><Link href={`/runs/${why.run.id}`}>{why.run.workflow}</Link></Fact>
            {why.event && <Fact name="Event"><Link href={`/events/${why.event.id}`}>{why.event.type}</Link></Fact>}
          </Facts>
          {why.decision && <Funnel decision={why.decision} event={why.event ?? null} />}
        </Panel>
      )}
      {why.kind === "trigger" && why.trigger && (
        <Panel title={`${why.trigger.workflow} / ${why.trigger.name}`}>
          <Facts>
            {why.outcome && <Fact name="Outcome"><Status value={why.outcome} /></Fact>}
            {why.reason && <Fact name="Reason">{why.reason.replaceAll("_", " ")}</Fact>}
            {why.nominal && <Fact name="Its time"><When at={why.nominal.utc} exact /></Fact>}
            {why.nearest?.before && <Fact name="The time before">{why.nearest.before.local.replace("T", " ")}</Fact>}
            {why.nearest?.after && <Fact name="The time after">{why.nearest.after.local.replace("T", " ")}</Fact>}
            {why.run_id && <Fact name="Run"><Link href={`/runs/${why.run_id}`}>open</Link></Fact>}
          </Facts>
          <p><Link href={`/workflows/${why.trigger.workflow_id}/triggers/${why.trigger.id}`}>Open the trigger</Link></p>
          {(why.decisions ?? []).map((one) => <Funnel key={one.event_id + one.trigger_id} decision={one} />)}
        </Panel>
      )}
    </>
  );
}
