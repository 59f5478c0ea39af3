import { Link } from "wouter";
import { useFilters, useGet, usePages, useSend } from "../lib/hooks";
import type { Workflow } from "../lib/types";
import { Button, Empty, LinkButton, Loaded, Page, Panel, Status, Twin, When } from "../parts/basic";
import { Table } from "../parts/table";

interface Version {
  version: number;
  live: boolean;
  created_at: string;
  created_by: string | null;
}

interface Deployment {
  id: string;
  version: number;
  action: string;
  status: string;
  step: string;
  error: string | null;
  actor: string;
  started_at: string;
}

interface Change {
  path: (string | number)[];
  op: string;
  before?: unknown;
  after?: unknown;
}

export default function Versions({ id }: { id: string }) {
  const workflow = useGet<Workflow>(`/api/v1/workflows/${id}`);
  const versions = usePages<Version>(`/api/v1/workflows/${id}/versions`);
  const history = usePages<Deployment>(`/api/v1/deployment/workflows/${id}/history`);
  const [shown, change] = useFilters(["from", "to"]);
  const diff = useGet<{ changes: Change[] }>(shown.from && shown.to ? `/api/v1/workflows/${id}/diff` : null, shown);
  const back = useSend();
  const numbers = (versions.data ?? []).map((one) => one.version);
  return (
    <Page title={workflow.data ? `Versions of ${workflow.data.name}` : "Versions"} actions={<LinkButton href={`/workflows/${id}`}>Back to the workflow</LinkButton>}>
      {back.error && <p className="field-error" role="alert">{back.error.message}</p>}
      <Panel title="Versions">
        <Loaded of={versions}>
          {(items) => (
            <Table
              label="Versions"
              rows={items}
              id={(row) => String(row.version)}
              columns={[
                { name: "Version", cell: (row) => <>{row.version} {row.live && <Status value="active" label="live" />}</> },
                { name: "Made", cell: (row) => <When at={row.created_at} /> },
                { name: "By", cell: (row) => row.created_by ?? "–" },
                { name: "Against the one before", cell: (row) => (row.version > 1 ? <Link href={`/workflows/${id}/versions?from=${row.version - 1}&to=${row.version}`}>what changed</Link> : "–") },
                { name: "", cell: (row) => (row.live ? null : <Button onClick={() => back.mutate({ path: `/api/v1/deployment/workflows/${id}/rollback`, body: { version: row.version } })}>Make live</Button>) },
              ]}
            />
          )}
        </Loaded>
        <div className="row">
          <span>Compare</span>
          {(["from", "to"] as const).map((end) => (
            <select key={end} className="small" aria-label={end} value={shown[end]} onChange={(event) => change({ [end]: event.target.value })}>
              <option value="">{end}</option>
              {numbers.map((one) => <option key={one}>{one}</option>)}
            </select>
          ))}
        </div>
      </Panel>
      {shown.from && shown.to && (
        <Panel title={`From version ${shown.from} to ${shown.to}`}>
          <Loaded of={diff}>
            {(found) => found.changes.length === 0 ? <Empty title="They are the same." /> : (
              <ul className="diff">
                {found.changes.map((one, index) => (
                  <li key={index}>
                    <code>{one.path.join(".")}</code> <Status value={one.op === "removed" ? "failed" : one.op === "added" ? "SUCCEEDED" : "RUNNING"} label={one.op} />
                    {one.before !== undefined && <pre className="minus">- {written(one.before)}</pre>}
                    {one.after !== undefined && <pre className="plus">+ {written(one.after)}</pre>}
                  </li>
                ))}
              </ul>
            )}
          </Loaded>
        </Panel>
      )}
      <Panel title="Deployments">
        <Loaded of={history}>
          {(items) => items.length === 0 ? <Empty title="It was never deployed." /> : (
            <Table
              label="Deployments"
              rows={items}
              id={(row) => row.id}
              columns={[
                { name: "When", cell: (row) => <When at={row.started_at} /> },
                { name: "What", cell: (row) => `${row.action} version ${row.version}` },
                { name: "Result", cell: (row) => <><Status value={row.status} /> {row.status === "DEPLOYMENT_FAILED" && `at ${row.step}`}</> },
                { name: "Why not", cell: (row) => row.error ?? "" },
                { name: "By", cell: (row) => row.actor },
              ]}
            />
          )}
        </Loaded>
      </Panel>
      <Twin cli={`workflow-scheduler rollback ${workflow.data?.name ?? ""}`} />
    </Page>
  );
}

function written(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
