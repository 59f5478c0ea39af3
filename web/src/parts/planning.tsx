/** What the pages about planned time have in common. */

import { useState } from "react";
import { Link, useLocation } from "wouter";
import { useSend } from "../lib/hooks";
import { Button } from "./basic";

const PARTS: [string, string][] = [["/upcoming", "Timers"], ["/upcoming/calendars", "Calendars"], ["/upcoming/blackouts", "Blackouts"], ["/upcoming/backfills", "Backfills"]];

export function PlanningTabs() {
  const [path] = useLocation();
  const here = PARTS.findLast(([href]) => path.startsWith(href))?.[0];
  return (
    <nav className="tabs" aria-label="Planned time">
      {PARTS.map(([href, title]) => <Link key={href} href={href} className={href === here ? "button main" : "button plain"} aria-current={href === here ? "page" : undefined}>{title}</Link>)}
    </nav>
  );
}

/** Deletes after a second click. */
export function Remove({ name, path, done }: { name: string; path: string; done?: () => void }) {
  const [sure, setSure] = useState(false);
  const remove = useSend(done);
  if (!sure) return <Button kind="quiet" label={`Delete ${name}`} onClick={() => setSure(true)}>Delete</Button>;
  return (
    <span className="row tight">
      <Button kind="danger" disabled={remove.isPending} onClick={() => remove.mutate({ path, method: "DELETE" })}>Delete {name}</Button>
      <Button onClick={() => setSure(false)}>Keep</Button>
      {remove.error && <span className="field-error" role="alert">{remove.error.message}</span>}
    </span>
  );
}
