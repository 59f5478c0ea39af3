import { useFilters, useGet, usePages } from "../lib/hooks";
import type { Page as Items, Run } from "../lib/types";
import { Empty, Loaded, Page, Panel } from "../parts/basic";
import { RunTable } from "../parts/run-table";

const STATES = ["QUEUED", "RUNNING", "PAUSED", "SUCCEEDED", "FAILED", "CANCELLED", "SKIPPED"];

export default function Runs() {
  const [filters, change] = useFilters(["workflow", "status", "trigger_type", "since"]);
  const list = usePages<Run>("/api/v1/runs", filters);
  const types = useGet<Items<{ name: string; title: string }>>("/api/v1/trigger-types");
  return (
    <Page title="Runs" about="Every run, the newest first.">
      <div className="filters">
        <label><span className="hidden">Workflow</span><input placeholder="Workflow" value={filters.workflow} onChange={(event) => change({ workflow: event.target.value })} /></label>
        <label>
          <span className="hidden">State</span>
          <select value={filters.status} onChange={(event) => change({ status: event.target.value })}>
            <option value="">Every state</option>
            {STATES.map((one) => <option key={one} value={one}>{one.toLowerCase()}</option>)}
          </select>
        </label>
        <label>
          <span className="hidden">Trigger type</span>
          <select value={filters.trigger_type} onChange={(event) => change({ trigger_type: event.target.value })}>
            <option value="">Every trigger type</option>
            {types.data?.items.map((one) => <option key={one.name} value={one.name}>{one.title}</option>)}
          </select>
        </label>
      </div>
      <Panel>
        <Loaded of={{ data: list.items, error: list.error, refetch: list.refetch }}>
          {(items) => items.length === 0 ? (
            <Empty title={Object.values(filters).some(Boolean) ? "No run fits these filters." : "Nothing has run yet."} />
          ) : <RunTable runs={items} label="Runs" more={list.hasNextPage ? () => void list.fetchNextPage() : undefined} />}
        </Loaded>
      </Panel>
    </Page>
  );
}
