/** The next ten times of a schedule, as the service computes them, and what its runs are given. */

import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { send, type Problem } from "../lib/api";
import { useGet } from "../lib/hooks";
import { Empty, Json, Panel, When } from "./basic";
import type { Values } from "./form";

interface Preview {
  description: string;
  timezone: string;
  fires: { utc: string; local: string; note: string | null }[];
}

const FIELDS = ["cron", "every", "run_at", "rrule", "timezone", "calendars"];
const TYPED_MILLISECONDS = 250;

export function SchedulePreview({ type, values }: { type: string; values: Values }) {
  const given = JSON.stringify(Object.fromEntries(FIELDS.filter((name) => values[name] !== undefined).map((name) => [name, values[name]])));
  const [asked, ask] = useState(given);
  useEffect(() => {
    const timer = window.setTimeout(() => ask(given), TYPED_MILLISECONDS);
    return () => window.clearTimeout(timer);
  }, [given]);
  const body = JSON.parse(asked) as Values;
  const complete = ["cron", "every", "run_at", "rrule"].some((name) => body[name] !== undefined);
  const found = useQuery<Preview, Problem>({
    queryKey: ["preview", type, asked],
    queryFn: () => send<Preview>("/api/v1/schedules/preview", { body }),
    enabled: complete,
    placeholderData: (before) => before,
  });
  return (
    <>
      <Panel title="Next 10 fires">
        {type === "cron" && <p className="hint">Five fields: minute, hour, day of month, month, day of week. Seconds are not supported.</p>}
        {!complete ? <Empty title="Say when it fires, and the times stand here." /> : found.error ? (
          <p className="field-error" role="alert">{found.error.message}</p>
        ) : (
          <>
            <p className="strong">{found.data?.description ?? "…"}</p>
            <ol className="fires">
              {found.data?.fires.map((fire) => (
                <li key={fire.utc}>
                  <span className="mono">{fire.local.replace("T", " ")}</span> <When at={fire.utc} zone={found.data.timezone} />
                  {fire.note && <span className="hint">{fire.note}</span>}
                </li>
              ))}
            </ol>
          </>
        )}
      </Panel>
      <Panel title="What its runs are given">
        <p className="muted">Fixed: trigger.clock.v1. No event is chosen for a schedule.</p>
        <ClockPayload />
      </Panel>
    </>
  );
}

function ClockPayload() {
  const schema = useGet<{ properties?: Record<string, { description?: string; type?: string }> }>("/schemas/trigger.clock.v1.json");
  const shown = Object.fromEntries(Object.entries(schema.data?.properties ?? {}).map(([name, one]) => [name, one.description ?? one.type ?? ""]));
  return <Json value={shown} label="Payload of a schedule" />;
}
