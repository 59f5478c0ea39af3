import { useState } from "react";
import { Link, useLocation } from "wouter";
import { usePages } from "../lib/hooks";
import { Button, Empty, Loaded, Page, Panel, When } from "../parts/basic";
import { CalendarForm, type Calendar } from "../parts/calendar-form";
import { PlanningTabs } from "../parts/planning";
import { Table } from "../parts/table";

export default function Calendars() {
  const list = usePages<Calendar>("/api/v1/calendars");
  const [adding, setAdding] = useState(false);
  const [, navigate] = useLocation();
  return (
    <Page title="Calendars" about="Days that schedules leave out or keep to, by name." actions={<Button kind="main" onClick={() => setAdding(true)}>Add a calendar</Button>}>
      <PlanningTabs />
      <Panel>
        <Loaded of={list}>
          {(items) => items.length === 0 ? <Empty title="There are no calendars yet."><p>Public holidays of a country, weekends, or the days of an iCalendar file.</p></Empty> : (
            <Table
              label="Calendars"
              rows={items}
              id={(row) => row.name}
              more={list.hasNextPage ? () => void list.fetchNextPage() : undefined}
              columns={[
                { name: "Name", cell: (row) => <Link href={`/upcoming/calendars/${row.name}`}>{row.name}</Link> },
                { name: "Holds", cell: (row) => row.holds },
                { name: "What it is for", cell: (row) => row.description || "–" },
                { name: "Version", cell: (row) => row.version, width: "80px" },
                { name: "Changed", cell: (row) => <When at={row.updated_at} />, width: "130px" },
              ]}
            />
          )}
        </Loaded>
      </Panel>
      {adding && <CalendarForm onClose={() => setAdding(false)} onSaved={(one) => navigate(`/upcoming/calendars/${one.name}`)} />}
    </Page>
  );
}
