import { useState } from "react";
import { Link } from "wouter";
import { useGet, usePages, useSend } from "../lib/hooks";
import { duration } from "../lib/time";
import type { Run } from "../lib/types";
import { BackfillStatus, Progress, type Backfill } from "../parts/backfill";
import { Button, Dialog, Empty, Fact, Facts, LinkButton, Loaded, Page, Panel, Twin, When } from "../parts/basic";
import { PlanningTabs } from "../parts/planning";
import { RunTable } from "../parts/run-table";

const WATCH_MILLISECONDS = 2000;

export default function BackfillPage({ id }: { id: string }) {
  const found = useGet<Backfill>(`/api/v1/backfills/${encodeURIComponent(id)}`, {}, (one) => (one?.ended_at ? false : WATCH_MILLISECONDS));
  return found.data ? <Shown one={found.data} /> : <Page title="Backfill"><Loaded of={found}>{() => null}</Loaded></Page>;
}

function Shown({ one }: { one: Backfill }) {
  const path = `/api/v1/backfills/${one.id}`;
  const runs = usePages<Run>(`${path}/runs`);
  const act = useSend();
  const [ending, setEnding] = useState(false);
  const open = one.status === "running" || one.status === "paused";
  return (
    <Page
      title={`Backfill of ${one.workflow}/${one.trigger}`}
      about="A range of a schedule's times that is run afterwards."
      actions={
        <>
          {one.status === "running" && <Button disabled={act.isPending} onClick={() => act.mutate({ path: `${path}/pause` })}>Pause</Button>}
          {one.status === "paused" && <Button kind="main" disabled={act.isPending} onClick={() => act.mutate({ path: `${path}/resume` })}>Resume</Button>}
          {open && <Button kind="danger" onClick={() => setEnding(true)}>Cancel the backfill</Button>}
          <LinkButton href="/upcoming/backfills">All backfills</LinkButton>
        </>
      }
    >
      <PlanningTabs />
      {act.error && <p className="field-error" role="alert">{act.error.message}</p>}
      <Panel title="How far it is">
        {one.note && <p>{one.note}</p>}
        <Facts>
          <Fact name="State"><BackfillStatus value={one.status} /></Fact>
          <Fact name="Progress"><Progress of={one} /></Fact>
          <Fact name="Times">{one.planned} in all, {one.remaining} to come, {one.skipped} left out</Fact>
          <Fact name="Runs">{one.started} started, {one.active} under way, {one.succeeded} succeeded, {one.failed} failed, {one.cancelled} cancelled</Fact>
          {one.eta_seconds !== null && open && <Fact name="Done in about">{duration(one.eta_seconds * 1000)}</Fact>}
          <Fact name="From"><When at={one.from} exact /></Fact>
          <Fact name="To"><When at={one.to} exact /></Fact>
          <Fact name="Takes">{one.reprocess} times, {one.order === "reverse" ? "newest" : "oldest"} first, {one.max_active} at once</Fact>
          <Fact name="Schedule"><Link href={`/workflows/${one.workflow_id}/triggers/${one.schedule_id}`}>{one.workflow}/{one.trigger}</Link></Fact>
          <Fact name="Made"><When at={one.created_at} /></Fact>
          {one.ended_at && <Fact name="Ended"><When at={one.ended_at} /></Fact>}
        </Facts>
        <Twin cli={`workflow-scheduler backfills watch ${one.id}`} />
      </Panel>
      <Panel title="Its runs">
        <Loaded of={runs}>
          {(items) => items.length === 0 ? <Empty title="None has started yet." /> : <RunTable runs={items} label="Runs of the backfill" more={runs.hasNextPage ? () => void runs.fetchNextPage() : undefined} />}
        </Loaded>
      </Panel>
      {ending && <End one={one} path={`${path}/cancel`} onClose={() => setEnding(false)} />}
    </Page>
  );
}

function End({ one, path, onClose }: { one: Backfill; path: string; onClose: () => void }) {
  const act = useSend(onClose);
  return (
    <Dialog title="Cancel the backfill" onClose={onClose}>
      <div className="stack">
        <p>{one.remaining} times would not be run. {one.active} runs are under way.</p>
        {act.error && <p className="field-error" role="alert">{act.error.message}</p>}
        <div className="actions">
          <Button kind="danger" disabled={act.isPending} onClick={() => act.mutate({ path, body: { cancel_runs: false } })}>Let its runs end</Button>
          <Button kind="danger" disabled={act.isPending} onClick={() => act.mutate({ path, body: { cancel_runs: true } })}>Cancel its runs too</Button>
          <Button onClick={onClose}>Go on with it</Button>
        </div>
        <Twin cli={`workflow-scheduler backfills cancel ${one.id}`} path={path} sending={{ body: { cancel_runs: false } }} />
      </div>
    </Dialog>
  );
}
