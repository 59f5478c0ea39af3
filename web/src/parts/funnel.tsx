/** Why something ran or did not: the way of one event through one trigger, with what was expected and what came. */

import { Link } from "wouter";
import type { Decision, Predicate, StoredEvent } from "../lib/types";
import { Status, Told, When } from "./basic";
import { TypeMark } from "./icon";

const STATE_REASONS = new Set(["disabled", "suspended", "paused", "workflow_paused", "not_deployed", "undeployed"]);
const LIMIT_OUTCOMES = new Set(["deferred", "skipped", "rejected", "absorbed"]);

interface Step {
  name: string;
  passed: boolean | null;
  lines: Predicate[];
  note?: string;
}

/** The steps that a decision took, up to the one at which it ended. */
export function steps(decision: Decision): Step[] {
  const failed = decision.predicates.some((one) => one.verdict !== true);
  const started = decision.outcome === "run_started";
  const state = STATE_REASONS.has(decision.reason);
  const limited = !started && !failed && !state && LIMIT_OUTCOMES.has(decision.outcome);
  const duplicate = decision.outcome === "duplicate";
  return [
    { name: "Received", passed: true, lines: [] },
    { name: "Authentic", passed: true, lines: [] },
    { name: "Not a duplicate", passed: !duplicate, lines: [] },
    { name: "Meant for this trigger", passed: duplicate ? null : true, lines: [] },
    { name: "Filters and condition", passed: duplicate ? null : !failed, lines: decision.predicates },
    { name: "Trigger and workflow active", passed: failed || duplicate ? null : !state, lines: [] },
    { name: "Limits", passed: failed || duplicate || state ? null : !limited, lines: [], ...(limited ? { note: decision.reason.replaceAll("_", " ") } : {}) },
    { name: "Run", passed: started ? true : null, lines: [] },
  ];
}

export function Funnel({ decision, event }: { decision: Decision; event?: StoredEvent | null }) {
  return (
    <article className="funnel" aria-label={`Decision of ${decision.trigger}`}>
      <header className="row">
        <Status value={decision.outcome} />
        <Link href={`/workflows/${decision.workflow_id}`}>{decision.workflow}</Link>
        <Link href={`/workflows/${decision.workflow_id}/triggers/${decision.trigger_id}`}>{decision.trigger}</Link>
        <TypeMark type={decision.trigger_type} />
        <When at={decision.decided_at} />
      </header>
      <p className="strong"><Told text={decision.summary.replaceAll("*", "")} /></p>
      <ol className="funnel-steps">
        {steps(decision).map((step) => (
          <li key={step.name} className={step.passed === null ? "open" : step.passed ? "pass" : "stop"}>
            <span className="funnel-sign" aria-hidden="true">{step.passed === null ? "·" : step.passed ? "✓" : "✕"}</span>
            <span>
              {step.name}
              <span className="hidden">{step.passed === null ? ": not reached" : step.passed ? ": passed" : ": stopped here"}</span>
              {step.note && <span className="muted"> – {step.note}</span>}
            </span>
            {step.lines.length > 0 && <Lines lines={step.lines} />}
          </li>
        ))}
      </ol>
      <Fix decision={decision} event={event ?? null} />
    </article>
  );
}

function Lines({ lines }: { lines: Predicate[] }) {
  return (
    <table className="predicates">
      <thead>
        <tr><th scope="col">Rule</th><th scope="col">Expected</th><th scope="col">Actual</th><th scope="col">Held</th></tr>
      </thead>
      <tbody>
        {lines.map((one, index) => (
          <tr key={index}>
            <td>{one.name}</td>
            <td><code>{written(one.expected)}</code></td>
            <td><code>{written(one.actual)}</code>{one.note && <span className="hint"><Told text={one.note} /></span>}</td>
            <td>{one.verdict === null ? "unknown" : one.verdict ? "yes" : "no"}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function written(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text === undefined || text === null ? "–" : text.length > 160 ? `${text.slice(0, 160)}…` : text;
}

/** The one thing to do about a decision that started nothing. */
function Fix({ decision, event }: { decision: Decision; event: StoredEvent | null }) {
  if (decision.run_id) return <Link className="button main" href={`/runs/${decision.run_id}`}>Open the run</Link>;
  const trigger = `/workflows/${decision.workflow_id}/triggers/${decision.trigger_id}`;
  if (decision.predicates.some((one) => one.verdict !== true)) {
    const tried = event ? `?event=${event.id}` : "";
    return <Link className="button main" href={`${trigger}${tried}`}>Change the condition and try this event again</Link>;
  }
  if (STATE_REASONS.has(decision.reason)) return <Link className="button main" href={`/workflows/${decision.workflow_id}`}>Switch it on again</Link>;
  return <Link className="button" href={trigger}>Open the trigger</Link>;
}
