import { useState } from "react";
import { Link } from "wouter";
import { useFilters, useGet, usePages, useSend } from "../lib/hooks";
import type { Page as Items, Run, Workflow } from "../lib/types";
import { Button, Empty, LinkButton, Loaded, Page, Panel, Status, Twin, When } from "../parts/basic";
import { ChoiceFilter, TextFilter } from "../parts/filters";
import { Table } from "../parts/table";
import { TypeMark } from "../parts/icon";

const WEEK = 7 * 86_400_000;
const since = new Date(Math.floor(Date.now() / 60_000) * 60_000 - WEEK).toISOString();

export default function Workflows() {
  const [filters, change] = useFilters(["name", "trigger_type", "status"]);
  const list = usePages<Workflow>("/api/v1/workflows", filters);
  const types = useGet<Items<{ name: string; title: string }>>("/api/v1/trigger-types");
  const [sure, setSure] = useState<"pause" | "resume" | null>(null);
  const all = useSend(() => setSure(null));
  return (
    <Page
      title="Workflows"
      about="What can run, and what starts it."
      actions={
        <>
          <Button onClick={() => setSure("pause")}>Pause all</Button>
          <Button onClick={() => setSure("resume")}>Resume all</Button>
          <LinkButton href="/workflows/new" kind="main">New workflow</LinkButton>
        </>
      }
    >
      {sure && (
        <Panel title={sure === "pause" ? "Pause every workflow? Nothing starts until they are resumed." : "Resume every workflow? Nothing of the past starts."}>
          <div className="actions">
            <Button kind={sure === "pause" ? "danger" : "main"} disabled={all.isPending} onClick={() => all.mutate({ path: `/api/v1/workflows/${sure}`, body: {} })}>
              {sure === "pause" ? "Pause all workflows" : "Resume all workflows"}
            </Button>
            <Button onClick={() => setSure(null)}>Cancel</Button>
          </div>
          {all.error && <p className="field-error">{all.error.message}</p>}
          <Twin cli={`workflow-scheduler workflow ${sure} --all`} path={`/api/v1/workflows/${sure}`} sending={{ body: {} }} />
        </Panel>
      )}
      <div className="filters">
        <TextFilter label="Name" value={filters.name} onChange={(name) => change({ name })} />
        <ChoiceFilter label="Trigger type" value={filters.trigger_type} onChange={(trigger_type) => change({ trigger_type })} options={types.data?.items.map((one) => [one.name, one.title]) ?? []} />
        <ChoiceFilter label="State" value={filters.status} onChange={(status) => change({ status })} options={["DEPLOYED", "UNDEPLOYED", "DEPLOYING", "DEPLOYMENT_FAILED"].map((one) => [one, one.toLowerCase().replace("_", " ")])} />
      </div>
      <Panel>
        <Loaded of={list}>
          {(items) =>
            items.length === 0 ? (
              <Empty title={Object.values(filters).some(Boolean) ? "No workflow fits these filters." : "There are no workflows yet."}>
                <LinkButton href="/workflows/new" kind="main">New workflow</LinkButton>
              </Empty>
            ) : (
              <Table
                label="Workflows"
                rows={items}
                id={(row) => row.id}
                more={list.hasNextPage ? () => void list.fetchNextPage() : undefined}
                columns={[
                  { name: "Name", cell: (row) => <Link href={`/workflows/${row.id}`}>{row.name}</Link> },
                  { name: "State", cell: (row) => <Effective workflow={row} />, width: "170px" },
                  { name: "Triggers", cell: (row) => <Types workflow={row} /> },
                  { name: "Last run", cell: (row) => <LastRun workflow={row} />, width: "170px" },
                  { name: "Next fire", cell: (row) => <When at={nextOf(row)} />, width: "110px" },
                  { name: "7 days", cell: (row) => <Week workflow={row} />, width: "170px" },
                ]}
              />
            )
          }
        </Loaded>
      </Panel>
    </Page>
  );
}

/** The one state that counts, and where it comes from. */
export function Effective({ workflow }: { workflow: Workflow }) {
  if (workflow.deployment_status === "DEPLOYMENT_FAILED") return <span title={workflow.deployment_error ?? ""}><Status value="DEPLOYMENT_FAILED" label="deployment failed" /></span>;
  if (workflow.paused) {
    const from = [workflow.paused_by && `by ${workflow.paused_by}`, workflow.paused_reason].filter(Boolean).join(": ");
    return <span title={`Paused ${from}`}><Status value="PAUSED" label={workflow.paused_by ? `paused by ${workflow.paused_by}` : "paused"} /></span>;
  }
  return <Status value={workflow.deployment_status} />;
}

function Types({ workflow }: { workflow: Workflow }) {
  const written = Object.values(workflow.definition.triggers ?? {}).map((one) => String(one["type"] ?? ""));
  const types = [...new Set(workflow.triggers.length ? workflow.triggers.map((one) => one.type) : written)];
  return types.length ? <span className="row tight">{types.map((type) => <TypeMark key={type} type={type} />)}</span> : <span className="muted">none</span>;
}

export function nextOf(workflow: Workflow): string | null {
  const times = workflow.triggers.map((one) => one.next_fire_at).filter((one) => one !== null).sort();
  return workflow.paused ? null : (times[0] ?? null);
}

function useWeek(workflow: Workflow) {
  return useGet<Items<Run>>("/api/v1/runs", { workflow: workflow.id, since, limit: 20 });
}

function LastRun({ workflow }: { workflow: Workflow }) {
  const run = useWeek(workflow).data?.items[0];
  return run ? <Link href={`/runs/${run.id}`}><Status value={run.status} /> <When at={run.created_at} /></Link> : <span className="muted">none this week</span>;
}

/** The newest runs of seven days as bars, the newest on the right. */
function Week({ workflow }: { workflow: Workflow }) {
  const found = useWeek(workflow).data;
  const runs = found?.items ?? [];
  const ended = runs.filter((run) => ["SUCCEEDED", "FAILED"].includes(run.status));
  if (ended.length === 0) return <span className="muted">–</span>;
  const good = ended.filter((run) => run.status === "SUCCEEDED").length;
  return (
    <span className="bars" role="img" aria-label={`${good} of the last ${ended.length} runs succeeded`} title={`${good} of the last ${ended.length} runs succeeded`}>
      {[...ended].reverse().map((run) => <i key={run.id} className={run.status === "SUCCEEDED" ? "good" : "bad"} />)}
      <span>{good}/{ended.length}</span>
    </span>
  );
}
