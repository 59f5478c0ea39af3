import { Link } from "wouter";
import { duration } from "../lib/time";
import type { Run } from "../lib/types";
import { Status, Told, When } from "./basic";
import { Table, type Column } from "./table";
import { TypeMark } from "./icon";

const COLUMNS: Column<Run>[] = [
  { name: "State", cell: (run) => <Status value={run.status} />, width: "120px" },
  { name: "Workflow", cell: (run) => <Link href={`/runs/${run.id}`}>{run.workflow}</Link> },
  { name: "Started by", cell: (run) => <TypeMark type={run.trigger_type} />, width: "130px" },
  { name: "Began", cell: (run) => <When at={run.started_at ?? run.created_at} />, width: "130px" },
  { name: "Took", cell: (run) => (run.duration_ms === null ? <span className="muted">–</span> : duration(run.duration_ms)), width: "90px" },
  { name: "What went wrong", cell: (run) => <span className="muted"><Told text={run.error?.message ?? ""} /></span> },
];

export function RunTable({ runs, label, more }: { runs: Run[]; label: string; more?: (() => void) | undefined }) {
  const columns = runs.some((run) => run.error) ? COLUMNS : COLUMNS.slice(0, -1);
  return <Table label={label} rows={runs} id={(run) => run.id} columns={columns} more={more} />;
}
