import { useState } from "react";
import { Link, useLocation } from "wouter";
import { useFilters, usePages, useSend } from "../lib/hooks";
import { Button, Dialog, Empty, Fact, Facts, Loaded, Page, Panel, Refused, Status, Twin, When } from "../parts/basic";
import { BackfillStatus, Progress, type Backfill } from "../parts/backfill";
import { BodyForm, useBody } from "../parts/body-form";
import { whole } from "../parts/controls";
import { ChoiceFilter, TextFilter } from "../parts/filters";
import type { Values } from "../parts/form";
import { PlanningTabs } from "../parts/planning";
import { Table } from "../parts/table";

const ROOT = "/api/v1/backfills";
const STATES = ["running", "paused", "cancelling", "cancelled", "completed"];
const DAY = 86_400_000;

export default function Backfills() {
  const [filters, change] = useFilters(["workflow", "status"]);
  const list = usePages<Backfill>(ROOT, filters);
  const [starting, setStarting] = useState(false);
  return (
    <Page title="Backfills" about="Ranges of a schedule's times that are run afterwards." actions={<Button kind="main" onClick={() => setStarting(true)}>New backfill</Button>}>
      <PlanningTabs />
      <div className="filters">
        <TextFilter label="Workflow" value={filters.workflow} onChange={(workflow) => change({ workflow })} />
        <ChoiceFilter label="State" value={filters.status} onChange={(status) => change({ status })} options={STATES.map((one) => [one, one])} />
      </div>
      <Panel>
        <Loaded of={list}>
          {(items) => items.length === 0 ? <Empty title={filters.workflow || filters.status ? "No backfill fits these filters." : "There are no backfills."} /> : (
            <Table
              label="Backfills"
              rows={items}
              id={(row) => row.id}
              more={list.hasNextPage ? () => void list.fetchNextPage() : undefined}
              columns={[
                { name: "Schedule", cell: (row) => <Link href={`/upcoming/backfills/${row.id}`}>{row.workflow}/{row.trigger}</Link> },
                { name: "From", cell: (row) => <When at={row.from} exact /> },
                { name: "To", cell: (row) => <When at={row.to} exact /> },
                { name: "State", cell: (row) => <BackfillStatus value={row.status} />, width: "120px" },
                { name: "Progress", cell: (row) => <Progress of={row} />, width: "190px" },
                { name: "Failed", cell: (row) => row.failed, width: "80px" },
                { name: "Made", cell: (row) => <When at={row.created_at} />, width: "110px" },
              ]}
            />
          )}
        </Loaded>
      </Panel>
      {starting && <Start workflow={filters.workflow} onClose={() => setStarting(false)} />}
    </Page>
  );
}

interface Plan {
  workflow: string;
  trigger: string;
  planned: number;
  to_run: number;
  left_out: number;
  items: { utc: string; nominal_local: string; timezone: string; runs: boolean; why: string; note: string | null }[];
  next: string | null;
}

function Start({ workflow, onClose }: { workflow: string; onClose: () => void }) {
  const schema = useBody("BackfillBody");
  const [, navigate] = useLocation();
  const [values, setValues] = useState<Values>(() => lastWeek(workflow));
  const plan = useSend<Plan>();
  const start = useSend<Backfill>((one) => navigate(`/upcoming/backfills/${one.id}`));
  const error = start.error ?? plan.error;
  const busy = start.isPending || plan.isPending;
  function type(next: Values): void {
    setValues(next);
    plan.reset();
    start.reset();
  }
  return (
    <Dialog title="New backfill" onClose={onClose} wide>
      <form className="stack" noValidate onSubmit={whole(() => start.mutate({ path: ROOT, body: values }))}>
        <Loaded of={schema}>
          {(one) => <BodyForm schema={one} first={["workflow", "trigger", "from", "to", "reprocess"]} without={["dry_run", "limit", "cursor"]} value={values} onChange={type} errors={error?.errors ?? []} />}
        </Loaded>
        {error && <Refused by={error} />}
        {plan.data && <Planned plan={plan.data} />}
        <div className="actions">
          <Button disabled={busy} onClick={() => plan.mutate({ path: ROOT, body: { ...values, dry_run: true, limit: 200 } })}>Dry run</Button>
          <Button type="submit" kind="main" disabled={busy}>{start.isPending ? "Starting …" : "Start"}</Button>
          <Button onClick={onClose}>Cancel</Button>
        </div>
        <Twin path={ROOT} sending={{ body: values }} />
      </form>
    </Dialog>
  );
}

function lastWeek(workflow: string): Values {
  const now = Date.now();
  const at = (ago: number) => `${new Date(now - ago).toISOString().slice(0, 16)}Z`;
  return { ...(workflow ? { workflow } : {}), from: at(7 * DAY), to: at(0) };
}

function Planned({ plan }: { plan: Plan }) {
  return (
    <section className="stack" aria-label="Dry run">
      <p role="status">{plan.to_run} of {plan.planned} times of {plan.workflow}/{plan.trigger} would run. Nothing was started.</p>
      <Facts>
        <Fact name="Times in the range">{plan.planned}</Fact>
        <Fact name="Would run">{plan.to_run}</Fact>
        <Fact name="Left out">{plan.left_out}</Fact>
      </Facts>
      {plan.items.length > 0 && (
        <Table label="Times of the dry run" rows={plan.items} id={(row) => row.utc} columns={[
          { name: "Time", cell: (row) => <span className="mono">{row.nominal_local.replace("T", " ")} {row.timezone}</span>, width: "minmax(17rem, 2fr)" },
          { name: "Runs", cell: (row) => <Status value={row.runs ? "run_started" : "left out"} label={row.runs ? "would run" : "left out"} /> },
          { name: "Why", cell: (row) => [row.why, row.note].filter(Boolean).join("; ") },
        ]} />
      )}
      {plan.next && <p className="muted">There are more; the list ends here, the numbers count all.</p>}
    </section>
  );
}
