/** The jobs of a run on one time line. */

import { useNow } from "../lib/hooks";
import { duration } from "../lib/time";
import type { Run } from "../lib/types";
import { Empty } from "./basic";

export function Waterfall({ run, picked, onPick }: { run: Run; picked: string | undefined; onPick: (id: string) => void }) {
  const now = useNow();
  const begun = (run.jobs ?? []).filter((one) => one.started_at !== null);
  if (begun.length === 0) return <Empty title="No job has begun." />;
  const start = Math.min(...begun.map((one) => time(one.started_at)));
  const end = Math.max(...begun.map((one) => (one.ended_at ? time(one.ended_at) : now)), start + 1);
  const whole = end - start;
  const rows = [...begun].sort((a, b) => time(a.started_at) - time(b.started_at));
  return (
    <>
      <ol className="waterfall">
        {rows.map((one) => {
          const from = time(one.started_at) - start;
          const took = (one.ended_at ? time(one.ended_at) : now) - time(one.started_at);
          const place = { marginLeft: `${(from / whole) * 100}%`, width: `max(3px, ${(Math.max(took, 0) / whole) * 100}%)` };
          return (
            <li key={one.id}>
              <button type="button" className={picked === one.id ? "bar-row picked" : "bar-row"} onClick={() => onPick(one.id)} title={`${one.id}: began after ${duration(from)}, took ${duration(took)}`}>
                <span className="bar-name">{one.id}</span>
                <span className="bar-space"><span className={`bar ${one.status.toLowerCase()}`} style={place} /></span>
                <span className="bar-took">{duration(Math.max(took, 0))}<span className="hidden">, {one.status.toLowerCase()}</span></span>
              </button>
            </li>
          );
        })}
      </ol>
      <p className="muted">{duration(whole)} from the first job to {run.ended_at ? "the last one's end" : "now"}</p>
    </>
  );
}

function time(iso: string | null): number {
  return iso ? new Date(iso).getTime() : 0;
}
