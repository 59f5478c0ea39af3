import { useState } from "react";
import { useLocation } from "wouter";
import { useGet, usePages } from "../lib/hooks";
import { Button, Empty, Fact, Facts, Json, LinkButton, Loaded, Page, Panel, When } from "../parts/basic";
import { CalendarForm, type WholeCalendar } from "../parts/calendar-form";
import { PlanningTabs, Remove } from "../parts/planning";
import { Table } from "../parts/table";

interface Day {
  date: string;
  weekday: string;
  name: string;
  source: string;
  start: string | null;
  end: string | null;
}

interface Days {
  from: string;
  to: string;
  items: Day[];
  complete: boolean;
}

interface Version {
  version: number;
  description: string;
  created_at: string;
  created_by: string | null;
}

export default function CalendarPage({ name }: { name: string }) {
  const found = useGet<WholeCalendar>(`/api/v1/calendars/${encodeURIComponent(name)}`);
  return found.data ? <Shown calendar={found.data} /> : <Page title="Calendar"><Loaded of={found}>{() => null}</Loaded></Page>;
}

function Shown({ calendar }: { calendar: WholeCalendar }) {
  const path = `/api/v1/calendars/${calendar.name}`;
  const days = useGet<Days>(`${path}/dates`);
  const versions = usePages<Version>(`${path}/versions`);
  const [editing, setEditing] = useState(false);
  const [, navigate] = useLocation();
  return (
    <Page
      title={calendar.name}
      about={calendar.description || "A calendar that schedules follow."}
      actions={
        <>
          <Button kind="main" onClick={() => setEditing(true)}>Change</Button>
          <Remove name={calendar.name} path={path} done={() => navigate("/upcoming/calendars")} />
          <LinkButton href="/upcoming/calendars">All calendars</LinkButton>
        </>
      }
    >
      <PlanningTabs />
      <Panel title="What it holds">
        <Facts>
          <Fact name="In words">{calendar.holds}</Fact>
          <Fact name="Version">{calendar.version}, <When at={calendar.updated_at} />{calendar.updated_by ? ` by ${calendar.updated_by}` : ""}</Fact>
          {calendar.holidays && <Fact name="Holidays as known by">holidays {calendar.holidays}</Fact>}
          <Fact name="Followed by">{calendar.used_by.map((one) => `${one.workflow}/${one.trigger}`).join(", ") || "no trigger yet"}</Fact>
        </Facts>
        <Json value={calendar.spec} label="Definition of the calendar" />
      </Panel>
      <Panel title="Its days in the next year">
        <Loaded of={days}>
          {(found) => found.items.length === 0 ? <Empty title={`It holds no day from ${found.from} to ${found.to}.`} /> : (
            <>
              <Table label="Days" rows={found.items} id={(row) => row.date + (row.start ?? "") + row.source + row.name} columns={[
                { name: "Day", cell: (row) => <span className="mono">{row.date}</span> }, { name: "Weekday", cell: (row) => row.weekday },
                { name: "Name", cell: (row) => row.name || "–" }, { name: "Time", cell: (row) => row.start ? <span><When at={row.start} exact /> to <When at={row.end} exact /></span> : "all day" },
                { name: "From", cell: (row) => row.source },
              ]} />
              {!found.complete && <p className="muted">There are more; the list ends here.</p>}
            </>
          )}
        </Loaded>
      </Panel>
      <Panel title="Versions">
        <Loaded of={versions}>
          {(items) => (
            <Table label="Versions" rows={items} id={(row) => String(row.version)} more={versions.hasNextPage ? () => void versions.fetchNextPage() : undefined} columns={[
              { name: "Version", cell: (row) => row.version }, { name: "Made", cell: (row) => <When at={row.created_at} /> },
              { name: "By", cell: (row) => row.created_by ?? "–" }, { name: "What it was for", cell: (row) => row.description || "–" },
            ]} />
          )}
        </Loaded>
      </Panel>
      {editing && <CalendarForm calendar={calendar} onClose={() => setEditing(false)} onSaved={() => setEditing(false)} />}
    </Page>
  );
}
