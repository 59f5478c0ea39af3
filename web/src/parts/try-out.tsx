/** Dry runs: a given event, a stored one, or the next real one, with each rule's verdict. */

import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { get, type Problem } from "../lib/api";
import { useSend } from "../lib/hooks";
import type { Decision, Page, Predicate, Trigger } from "../lib/types";
import { Button, Panel, Status, Twin } from "./basic";
import { json, whole } from "./controls";
import { JsonField } from "./form";

interface Tried {
  outcome: string;
  reason: string;
  decisions: { would_start: boolean; predicates: Predicate[]; outcome: string }[];
}

export function TryOut({ trigger, event }: { trigger: Trigger; event: string | null }) {
  const [text, setText] = useState("");
  const [listening, setListening] = useState(false);
  const [heard, setHeard] = useState<Decision | null>(null);
  const tried = useSend<Tried>();
  const path = `/api/v1/triggers/${trigger.id}/test`;
  const body = event && !text ? { event_id: event } : { event: { data: json(text)?.value ?? {} } };
  return (
    <Panel title="Try it out">
      <form className="stack" noValidate onSubmit={whole(() => tried.mutate({ path, body }))}>
        {event && !text && <p className="muted">The event you came from is tried; write data below to try something else.</p>}
        <JsonField label="Data of an event" value={text} onChange={setText} hint="JSON. Nothing is started." />
        <div className="actions">
          <Button type="submit" kind="main" disabled={tried.isPending}>Test</Button>
          <Button onClick={() => { setHeard(null); setListening(!listening); }}>{listening ? "Stop listening" : "Listen"}</Button>
        </div>
      </form>
      {tried.error && <p className="field-error" role="alert">{tried.error.message}</p>}
      {tried.data && <Verdict outcome={tried.data.outcome} starts={tried.data.decisions[0]?.would_start ?? false} lines={tried.data.decisions[0]?.predicates ?? []} />}
      {listening && <Listener trigger={trigger} onHeard={(found) => { setHeard(found); setListening(false); }} />}
      {heard && (
        <div className="stack">
          <p role="status">It came: {heard.summary.replaceAll("*", "")}</p>
          <Verdict outcome={heard.outcome} starts={heard.run_id !== null} lines={heard.predicates} />
        </div>
      )}
      <Twin cli={`workflow-scheduler trigger test ${trigger.workflow}/${trigger.name}`} path={path} sending={{ body }} />
    </Panel>
  );
}

function Verdict({ outcome, starts, lines }: { outcome: string; starts: boolean; lines: Predicate[] }) {
  return (
    <div className="verdict" role="status">
      <p><Status value={outcome} /> {starts ? "It starts a run." : "It starts nothing."}</p>
      <ul>
        {lines.map((one, index) => (
          <li key={index}>
            {one.verdict === null ? "unknown" : one.verdict ? "✓" : "✕"} {one.name}: expected <code>{JSON.stringify(one.expected)}</code>, came <code>{JSON.stringify(one.actual)}</code>
            {one.note && <span className="hint">{one.note}</span>}
          </li>
        ))}
      </ul>
    </div>
  );
}

const LOOK_MILLISECONDS = 1000;

/** Looks for the first decision after now. */
function Listener({ trigger, onHeard }: { trigger: Trigger; onHeard: (decision: Decision) => void }) {
  const client = useQueryClient();
  const [error, setError] = useState<Problem | null>(null);
  useEffect(() => {
    let last: string | null | undefined;
    const timer = window.setInterval(() => {
      get<Page<Decision>>(`/api/v1/triggers/${trigger.id}/decisions?limit=1`)
        .then(({ items }) => {
          const newest = items[0]?.event_id ?? null;
          if (last !== undefined && newest !== last && items[0]) {
            onHeard(items[0]);
            void client.invalidateQueries();
          }
          last = newest;
        })
        .catch((problem: Problem) => setError(problem));
    }, LOOK_MILLISECONDS);
    return () => window.clearInterval(timer);
  }, [trigger.id, client, onHeard]);
  return error ? <p className="field-error" role="alert">{error.message}</p> : <p role="status" className="muted"><span className="spinner" aria-hidden="true" /> Waiting for the next event …</p>;
}

