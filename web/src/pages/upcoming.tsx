import { Link } from "wouter";
import { useFilters, useGet } from "../lib/hooks";
import { viewerZone } from "../lib/time";
import type { Occurrence, Page as Items, Schedule } from "../lib/types";
import { Button, Empty, Loaded, Page, Panel, Status, When } from "../parts/basic";
import { HeatMap } from "../parts/heat-map";
import { PlanningTabs } from "../parts/planning";
import { Table } from "../parts/table";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

interface Forecast {
  total: number;
  schedules: number;
  exact: boolean;
  note: string | null;
  items: { start: string; fires: number }[];
  collisions: { at: string; fires: number }[];
}

export default function Upcoming() {
  const [shown, change] = useFilters(["view"]);
  const forecast = useGet<Forecast>("/api/v1/forecast", { hours: 168 });
  const next = useGet<Items<Schedule>>("/api/v1/upcoming", { limit: 100 });
  return (
    <Page title="Upcoming" about={`What is armed, what was missed, and how full the week is. Times in ${viewerZone} unless they name a zone.`}>
      <PlanningTabs />
      <Panel
        title="Armed timers"
        actions={
          <>
            <Button kind={shown.view === "week" ? "plain" : "main"} onClick={() => change({ view: "" })}>List</Button>
            <Button kind={shown.view === "week" ? "main" : "plain"} onClick={() => change({ view: "week" })}>Week</Button>
          </>
        }
      >
        <Loaded of={next}>
          {(found) => found.items.length === 0 ? <Empty title="No timer is armed."><p>Give a workflow a schedule.</p></Empty> : shown.view === "week" ? <Week schedules={found.items} /> : (
            <Table
              label="Armed timers"
              rows={found.items}
              id={(row) => row.id}
              columns={[
                { name: "When", cell: (row) => <When at={row.next_fire_at} zone={row.timezone} /> },
                { name: "Time there", cell: (row) => <When at={row.next_fire_at} zone={row.timezone} exact /> },
                { name: "Workflow", cell: (row) => <Link href={`/workflows/${row.workflow_id}`}>{row.workflow}</Link> },
                { name: "Trigger", cell: (row) => <Link href={`/workflows/${row.workflow_id}/triggers/${row.id}`}>{row.name}</Link> },
                { name: "Zone", cell: (row) => row.timezone },
              ]}
            />
          )}
        </Loaded>
      </Panel>
      <Panel title="Fires per hour, next 7 days">
        <Loaded of={forecast}>
          {(found) => (
            <>
              <p className="muted">{found.total.toLocaleString("en")} fires of {found.schedules.toLocaleString("en")} schedules{found.exact ? "" : ", estimated"}{found.note ? `; ${found.note}` : ""}</p>
              <HeatMap hours={found.items} />
              {found.collisions.length > 0 && (
                <>
                  <h3>Many at one instant</h3>
                  <ul>{found.collisions.slice(0, 5).map((one) => <li key={one.at}>{one.fires} fires <When at={one.at} exact /></li>)}</ul>
                  <p className="muted">Spread them: <code>workflow-scheduler forecast --spread</code> says with which jitter.</p>
                </>
              )}
            </>
          )}
        </Loaded>
      </Panel>
      <Missed schedules={next.data?.items ?? []} />
    </Page>
  );
}

function Week({ schedules }: { schedules: Schedule[] }) {
  const today = new Date();
  today.setHours(0, 0, 0, 0);
  const days = Array.from({ length: 7 }, (_, index) => new Date(today.getTime() + index * DAY));
  return (
    <div className="week">
      {days.map((day) => {
        const fires = schedules.filter((one) => one.next_fire_at && sameDay(new Date(one.next_fire_at), day));
        return (
          <section key={day.toISOString()} aria-label={day.toDateString()}>
            <h3>{day.toLocaleDateString("en-GB", { weekday: "short", day: "numeric", month: "short" })}</h3>
            {fires.length === 0 ? <p className="muted">–</p> : (
              <ul>{fires.map((one) => <li key={one.id}><Link href={`/workflows/${one.workflow_id}/triggers/${one.id}`}>{new Date(one.next_fire_at ?? "").toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })} {one.workflow}</Link></li>)}</ul>
            )}
          </section>
        );
      })}
    </div>
  );
}

function sameDay(a: Date, b: Date): boolean {
  return a.toDateString() === b.toDateString();
}

const floor = Math.floor(Date.now() / HOUR) * HOUR;
const range = { from: new Date(floor - DAY).toISOString(), to: new Date(floor + HOUR).toISOString(), limit: 200 };

/** What was due in the last day and did not run, of the schedules that come next. */
function Missed({ schedules }: { schedules: Schedule[] }) {
  return (
    <Panel title="Due in the last 24 hours and not run">
      <ul className="stack">{schedules.slice(0, 20).map((one) => <MissedOf key={one.id} schedule={one} />)}</ul>
      <p className="muted">Every other time ran, or is told under its trigger.</p>
    </Panel>
  );
}

function MissedOf({ schedule }: { schedule: Schedule }) {
  const found = useGet<Items<Occurrence>>(`/api/v1/schedules/${schedule.id}/occurrences`, range);
  const lost = (found.data?.items ?? []).filter((one) => ["missed", "skipped", "coalesced", "superseded"].includes(one.outcome));
  return (
    <>
      {lost.slice(-5).map((one) => (
        <li key={schedule.id + one.nominal_local} className="row">
          <Status value={one.outcome} />
          <Link href={`/workflows/${schedule.workflow_id}/triggers/${schedule.id}`}>{schedule.workflow}/{schedule.name}</Link>
          <span className="mono">{one.nominal_local.replace("T", " ")} {one.timezone}</span>
          <span className="muted">{(one.reason ?? "").replaceAll("_", " ")} {one.note ?? ""}</span>
        </li>
      ))}
    </>
  );
}
