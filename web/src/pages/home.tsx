import { useQueryClient } from "@tanstack/react-query";
import { Link } from "wouter";
import { send } from "../lib/api";
import { useGet, usePages } from "../lib/hooks";
import { duration } from "../lib/time";
import type { DeadLetter, Page as Items, Run, Schedule, Wait, Workflow } from "../lib/types";
import { Button, Empty, LinkButton, Loaded, Page, Panel, Status, When } from "../parts/basic";
import { RunTable } from "../parts/run-table";
import { Table } from "../parts/table";
import { demoDefinition } from "./demo-definition";

const DAY = 86_400_000;
const since = new Date(Math.floor(Date.now() / 60_000) * 60_000 - DAY).toISOString();

export default function Home() {
  const workflows = useGet<Items<Workflow>>("/api/v1/workflows", { limit: 100 });
  return (
    <Page title="Home" about="What needs you, what runs, and what comes next." actions={<LinkButton href="/workflows/new" kind="main">New workflow</LinkButton>}>
      <Loaded of={workflows}>{(found) => (found.items.length === 0 ? <Welcome /> : <Overview workflows={found.items} />)}</Loaded>
    </Page>
  );
}

function Welcome() {
  const client = useQueryClient();
  async function demo(): Promise<void> {
    await send("/api/v1/workflows", { body: demoDefinition });
    await send(`/api/v1/deployment/workflows/${demoDefinition.name}/deploy`);
    await send(`/api/v1/triggers/workflows/${demoDefinition.name}/manual`, { body: {} });
    await client.invalidateQueries();
  }
  return (
    <Panel>
      <Empty title="There are no workflows yet.">
        <p>A workflow is what runs: jobs that depend on each other. Triggers say when.</p>
        <div className="row center">
          <Button kind="main" onClick={() => void demo()}>Load the demo</Button>
          <LinkButton href="/workflows/new?from=yaml">Paste YAML</LinkButton>
          <LinkButton href="/workflows/new">New workflow</LinkButton>
        </div>
      </Empty>
    </Panel>
  );
}

function Overview({ workflows }: { workflows: Workflow[] }) {
  const failed = useGet<Items<Run>>("/api/v1/runs", { status: "FAILED", since, limit: 10 });
  const open = useGet<Items<Run>>("/api/v1/runs", { status: "RUNNING", limit: 10 });
  const recent = usePages<Run>("/api/v1/runs", { since }, 10);
  const letters = useGet<Items<DeadLetter>>("/api/v1/dead-letters", { status: "dead", limit: 10 });
  const waits = useGet<Items<Wait>>("/api/v1/waits", { status: "OPEN", limit: 10 });
  const next = useGet<Items<Schedule>>("/api/v1/upcoming", { limit: 10 });
  const paused = workflows.filter((one) => one.paused);
  const broken = workflows.filter((one) => one.deployment_status === "DEPLOYMENT_FAILED");
  const never = workflows.filter((one) => one.live_version !== null && one.triggers.length > 0 && one.triggers.every((trigger) => !trigger.last_decision));
  const needs: [string, number, string, string][] = [
    ["failed runs in 24 h", failed.data?.items.length ?? 0, "/runs?status=FAILED", "FAILED"],
    ["dead letters", letters.data?.items.length ?? 0, "/dead-letters", "dead"],
    ["open approvals", waits.data?.items.length ?? 0, "/approvals", "OPEN"],
    ["paused workflows", paused.length, "/workflows", "PAUSED"],
    ["failed deployments", broken.length, "/workflows", "DEPLOYMENT_FAILED"],
    ["deployed and never fired", never.length, "/workflows", "waiting"],
  ];
  const pressing = needs.filter(([, count]) => count > 0);
  return (
    <>
      <Panel title="Needs attention">
        {pressing.length === 0 ? (
          <p className="muted">Nothing. All runs of the last 24 hours went well, and nobody is asked for anything.</p>
        ) : (
          <ul className="tiles">
            {pressing.map(([name, count, href, tone]) => (
              <li key={name}><Link href={href} className="tile"><Status value={tone} label={count >= 10 ? "10+" : String(count)} /> {name}</Link></li>
            ))}
          </ul>
        )}
      </Panel>
      <div className="columns">
        <Panel title="Next 10 fires" actions={<Link href="/upcoming">All upcoming</Link>}>
          <Loaded of={next}>
            {(found) => found.items.length === 0 ? <Empty title="Nothing is planned."><p>Give a workflow a schedule.</p></Empty> : (
              <Table label="Next fires" rows={found.items} id={(row) => row.id} columns={[
                { name: "When", cell: (row) => <When at={row.next_fire_at} zone={row.timezone} /> },
                { name: "Time there", cell: (row) => <When at={row.next_fire_at} zone={row.timezone} exact /> },
                { name: "Workflow", cell: (row) => <Link href={`/workflows/${row.workflow_id}`}>{row.workflow}</Link> },
                { name: "Trigger", cell: (row) => row.name },
              ]} />
            )}
          </Loaded>
        </Panel>
        <Panel title="Running now" actions={<Link href="/runs?status=RUNNING">All running</Link>}>
          <Loaded of={open}>
            {(found) => found.items.length === 0 ? <Empty title="Nothing runs at the moment." /> : <RunTable runs={found.items} label="Running now" />}
          </Loaded>
        </Panel>
      </div>
      <Panel title="Last 24 hours" actions={<Link href="/runs">All runs</Link>}>
        <Loaded of={recent}>
          {(items) => items.length === 0 ? <Empty title="No run began in the last 24 hours." /> : <RunTable runs={items.slice(0, 10)} label="Runs of the last 24 hours" />}
        </Loaded>
        <Summary runs={recent.data ?? []} />
      </Panel>
    </>
  );
}

function Summary({ runs }: { runs: Run[] }) {
  const times = runs.map((run) => run.duration_ms).filter((one) => one !== null).sort((a, b) => a - b);
  if (times.length === 0) return null;
  return <p className="muted">Half of these took {duration(times[Math.floor(times.length / 2)] ?? 0)} or less.</p>;
}
