import { lazy, Suspense, useState } from "react";
import { Link } from "wouter";
import { useGet, useSend } from "../lib/hooks";
import { duration } from "../lib/time";
import { graphOf } from "../lib/graph-of";
import type { Definition, JobRecord, Page as Items, Run } from "../lib/types";
import { Button, Empty, Fact, Facts, Json, LinkButton, Loaded, Loading, Page, Panel, Status, Told, Twin, When } from "../parts/basic";
import { Waterfall } from "../parts/waterfall";

const Graph = lazy(() => import("../parts/graph"));
const OPEN = new Set(["QUEUED", "RUNNING", "PAUSED"]);

export default function RunPage({ id }: { id: string }) {
  const found = useGet<Run>(`/api/v1/runs/${id}`);
  return found.data ? <Shown run={found.data} /> : <Page title="Run"><Loaded of={found}>{() => null}</Loaded></Page>;
}

interface Version {
  definition: Definition;
}

function Shown({ run }: { run: Run }) {
  const version = useGet<Version>(`/api/v1/workflows/${run.workflow_id}/versions/${run.version}`);
  const [picked, pick] = useState<string | undefined>();
  const [again, setAgain] = useState<string | null>(null);
  const rerun = useSend<{ run_id?: string; id?: string }>((value) => setAgain(value.run_id ?? value.id ?? null));
  const cancel = useSend();
  const records = run.jobs ?? [];
  const jobs = version.data ? graphOf(version.data.definition, records) : [];
  const broken = records.filter((one) => one.status === "FAILED");
  const path = `/api/v1/runs/${run.id}`;
  return (
    <Page
      title={`${run.workflow}`}
      about={<>run <code>{run.id}</code></>}
      actions={
        <>
          {run.status === "FAILED" && <Button kind="main" disabled={rerun.isPending} onClick={() => rerun.mutate({ path: `${path}/rerun`, body: { from_failed: true } })}>Rerun from failed</Button>}
          {!OPEN.has(run.status) && <Button disabled={rerun.isPending} onClick={() => rerun.mutate({ path: `${path}/rerun`, body: {} })}>Rerun</Button>}
          {OPEN.has(run.status) && <Button kind="danger" disabled={run.cancel_requested} onClick={() => cancel.mutate({ path: `${path}/cancel`, body: {} })}>{run.cancel_requested ? "Cancelling …" : "Cancel"}</Button>}
          <LinkButton href={`/explain?ref=${run.id}`}>Explain</LinkButton>
        </>
      }
    >
      {again && <p className="notice" role="status">It runs again: <Link href={`/runs/${again}`}>open the new run</Link>.</p>}
      {(rerun.error ?? cancel.error) && <p className="field-error" role="alert">{(rerun.error ?? cancel.error)?.message}</p>}
      {run.status === "FAILED" && <Failure run={run} broken={broken} />}
      {run.status === "PAUSED" && records.some((one) => one.status === "PAUSED") && (
        <p className="notice" role="status">It waits for an answer or a time. <Link href="/approvals">Open approvals</Link></p>
      )}
      <Panel title="Why it ran">
        <p className="strong">{run.cause?.summary.replaceAll("*", "") ?? `Started by a ${run.trigger_type} trigger.`}</p>
        {run.cause?.occurrence_note && <p className="muted">{run.cause.occurrence_note}</p>}
        <Facts>
          <Fact name="State"><Status value={run.status} /></Fact>
          <Fact name="Began"><When at={run.started_at ?? run.created_at} exact /></Fact>
          <Fact name="Took">{run.duration_ms === null ? "still open" : duration(run.duration_ms)}</Fact>
          <Fact name="Trigger"><Link href={`/workflows/${run.workflow_id}/triggers/${run.trigger_id}`}>{run.trigger ?? run.trigger_type}</Link></Fact>
          <Fact name="Event"><Link href={`/events/${run.event_id}`}>open the event</Link></Fact>
          <Fact name="Version"><Link href={`/workflows/${run.workflow_id}/versions`}>{run.version}</Link></Fact>
          {run.cause?.lateness_ms != null && <Fact name="Fired">{duration(run.cause.lateness_ms)} after its time</Fact>}
          {run.rerun_of && <Fact name="Rerun of"><Link href={`/runs/${run.rerun_of}`}>the run before</Link></Fact>}
          <Parallel run={run} />
        </Facts>
      </Panel>
      <div className="columns">
        <Panel title="Jobs">
          {jobs.length === 0 ? <Loading /> : (
            <Suspense fallback={<Loading what="Drawing" />}><Graph jobs={jobs} picked={picked} onPick={pick} label="Jobs of the run" height={340} /></Suspense>
          )}
        </Panel>
        <Panel title="Timeline"><Waterfall run={run} picked={picked} onPick={pick} /></Panel>
      </div>
      {picked && <JobPanel record={records.find((one) => one.id === picked)} id={picked} onClose={() => pick(undefined)} />}
      <Logs run={run} job={picked} />
      <div className="columns">
        <Panel title="Input"><Json value={run.input} label="Input" /></Panel>
        <Panel title="Output"><Json value={run.output} label="Output" /></Panel>
      </div>
      <Twin cli={`workflow-scheduler runs rerun ${run.id}`} path={`${path}/rerun`} sending={{ body: {} }} />
    </Page>
  );
}

function Parallel({ run }: { run: Run }) {
  const told = run.parallelism as { max?: number; saved_ms?: number } | null | undefined;
  if (!told) return null;
  const saved = told.saved_ms;
  return (
    <>
      {told.max !== undefined && <Fact name="Jobs at once">{told.max}</Fact>}
      {saved !== undefined && saved > 0 && <Fact name="Saved against one by one">{duration(saved)}</Fact>}
    </>
  );
}

function Failure({ run, broken }: { run: Run; broken: JobRecord[] }) {
  const error = run.error ?? broken[0]?.error;
  return (
    <section className="panel failure" role="alert" aria-label="What went wrong">
      <h2>{broken.length ? `Job ${broken.map((one) => one.id).join(", ")} failed` : "The run failed"}</h2>
      <p><Told text={error?.message ?? "No reason was given."} /></p>
      {broken.map((one) => (
        <p key={one.id} className="muted">
          {one.id}, attempt {one.attempt}{one.error?.code ? `, ${one.error.code}` : ""}{one.error?.message && !error?.message?.includes(one.error.message) ? `: ${one.error.message}` : ""}
        </p>
      ))}
    </section>
  );
}

function JobPanel({ record, id, onClose }: { record: JobRecord | undefined; id: string; onClose: () => void }) {
  return (
    <Panel title={`Job ${id}`} actions={<Button kind="quiet" onClick={onClose}>Close</Button>}>
      {record ? (
        <>
          <Facts>
            <Fact name="State"><Status value={record.status} /></Fact>
            <Fact name="Attempt">{record.attempt}</Fact>
            <Fact name="Began"><When at={record.started_at} exact /></Fact>
            <Fact name="Ended"><When at={record.ended_at} exact /></Fact>
            {record.wake_at && <Fact name="Goes on"><When at={record.wake_at} exact /></Fact>}
            {record.reused_from && <Fact name="Kept from"><Link href={`/runs/${record.reused_from}`}>an earlier run</Link></Fact>}
          </Facts>
          {record.error && <><h3>Error</h3><Json value={record.error} label="Error" /></>}
          <h3>Output</h3>
          <Json value={record.output} label="Output of the job" />
        </>
      ) : <Empty title="It has not begun." />}
    </Panel>
  );
}

interface Line {
  seq: number;
  job: string;
  at: string;
  stream: string;
  line: string;
}

function Logs({ run, job }: { run: Run; job: string | undefined }) {
  const logs = useGet<Items<Line>>(`/api/v1/runs/${run.id}/logs`, { job, limit: 200 }, OPEN.has(run.status) ? 2000 : undefined);
  return (
    <Panel title={job ? `Log of ${job}` : "Log"}>
      <Loaded of={logs}>
        {(found) => found.items.length === 0 ? <Empty title="Nothing was written." /> : (
          <div className="log" role="log" aria-label="Log" tabIndex={0}>
            {found.items.map((one) => (
              <div key={`${one.seq}-${one.job}`} className={one.stream === "stderr" ? "line error" : "line"}>
                <span className="muted">{one.at.slice(11, 23)} {job ? "" : one.job}{one.stream === "stderr" ? " stderr" : ""}</span> {one.line}
              </div>
            ))}
          </div>
        )}
      </Loaded>
    </Panel>
  );
}
