import { useFilters, useGet, usePages } from "../lib/hooks";
import type { Page as Items, Run } from "../lib/types";
import { Empty, Loaded, Page, Panel } from "../parts/basic";
import { ChoiceFilter, TextFilter } from "../parts/filters";
import { RunTable } from "../parts/run-table";

const STATES = ["QUEUED", "RUNNING", "PAUSED", "SUCCEEDED", "FAILED", "CANCELLED", "SKIPPED"];

export default function Runs() {
  const [filters, change] = useFilters(["workflow", "status", "trigger_type", "since"]);
  const list = usePages<Run>("/api/v1/runs", filters);
  const types = useGet<Items<{ name: string; title: string }>>("/api/v1/trigger-types");
  return (
    <Page title="Runs" about="Every run, the newest first.">
      <div className="filters">
        <TextFilter label="Workflow" value={filters.workflow} onChange={(workflow) => change({ workflow })} />
        <ChoiceFilter label="State" value={filters.status} onChange={(status) => change({ status })} options={STATES.map((one) => [one, one.toLowerCase().replace("_", " ")])} />
        <ChoiceFilter label="Trigger type" value={filters.trigger_type} onChange={(trigger_type) => change({ trigger_type })} options={types.data?.items.map((one) => [one.name, one.title]) ?? []} />
      </div>
      <Panel>
        <Loaded of={list}>
          {(items) => items.length === 0 ? (
            <Empty title={Object.values(filters).some(Boolean) ? "No run fits these filters." : "Nothing has run yet."} />
          ) : <RunTable runs={items} label="Runs" more={list.hasNextPage ? () => void list.fetchNextPage() : undefined} />}
        </Loaded>
      </Panel>
    </Page>
  );
}
