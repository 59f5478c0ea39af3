/** A backfill as the API tells of it, and how far it is. */

import { Status } from "./basic";

export interface Backfill {
  id: string;
  workflow_id: string;
  workflow: string;
  schedule_id: string;
  trigger: string;
  from: string;
  to: string;
  reprocess: string;
  order: string;
  max_active: number;
  status: string;
  note: string | null;
  planned: number;
  started: number;
  active: number;
  succeeded: number;
  failed: number;
  cancelled: number;
  skipped: number;
  remaining: number;
  progress: number;
  eta_seconds: number | null;
  created_at: string;
  ended_at: string | null;
}

const LOOKS: Record<string, string> = { running: "RUNNING", paused: "PAUSED", cancelling: "waiting", completed: "SUCCEEDED" };

export function BackfillStatus({ value }: { value: string }) {
  return <Status value={LOOKS[value] ?? value} label={value} />;
}

export function Progress({ of }: { of: Backfill }) {
  return (
    <span className="row tight">
      <progress aria-label={`Progress of ${of.workflow}/${of.trigger}`} value={of.progress} max={1} />
      <span>{Math.floor(of.progress * 100)} %</span>
    </span>
  );
}
