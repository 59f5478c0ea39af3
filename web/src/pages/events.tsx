import { Link } from "wouter";
import { useFilters, usePages } from "../lib/hooks";
import type { StoredEvent } from "../lib/types";
import { Empty, LinkButton, Loaded, Page, Panel, When } from "../parts/basic";
import { TextFilter } from "../parts/filters";
import { Table } from "../parts/table";
import { TypeMark } from "../parts/icon";

export default function Events() {
  const [filters, change] = useFilters(["type", "source", "provider"]);
  const list = usePages<StoredEvent>("/api/v1/events", filters);
  return (
    <Page title="Events" about="Everything that was received, with what was decided about it." actions={<LinkButton href="/explain">Explain</LinkButton>}>
      <div className="filters">
        {([["type", "Event"], ["provider", "Through"], ["source", "Source"]] as const).map(([name, label]) => (
          <TextFilter key={name} label={label} value={filters[name]} onChange={(value) => change({ [name]: value })} />
        ))}
      </div>
      <Panel>
        <Loaded of={list}>
          {(items) => items.length === 0 ? (
            <Empty title={Object.values(filters).some(Boolean) ? "No event fits these filters." : "No event has come yet."}>
              <p>Send one: <code>workflow-scheduler events send hello</code></p>
            </Empty>
          ) : (
            <Table
              label="Events"
              rows={items}
              id={(row) => row.id}
              more={list.hasNextPage ? () => void list.fetchNextPage() : undefined}
              columns={[
                { name: "Received", cell: (row) => <When at={row.received_at} />, width: "120px" },
                { name: "Event", cell: (row) => <Link href={`/events/${row.id}`}>{row.type}</Link> },
                { name: "Through", cell: (row) => <TypeMark type={row.provider} />, width: "130px" },
                { name: "Source", cell: (row) => <code>{row.source}</code> },
                { name: "Repeats", cell: (row) => row.duplicates ?? 0, width: "80px" },
              ]}
            />
          )}
        </Loaded>
      </Panel>
    </Page>
  );
}
