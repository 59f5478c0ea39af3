/** The command palette: pages, workflows, and whatever an id names. */

import { useState } from "react";
import { useLocation } from "wouter";
import { useGet } from "./lib/hooks";
import type { Page, Workflow } from "./lib/types";
import { Dialog } from "./parts/basic";

const PAGES: [string, string][] = [
  ["Home", "/"], ["Workflows", "/workflows"], ["New workflow", "/workflows/new"], ["Runs", "/runs"], ["Failed runs", "/runs?status=FAILED"],
  ["Events", "/events"], ["Explain", "/explain"], ["Upcoming", "/upcoming"],
  ["Calendars", "/upcoming/calendars"], ["Blackouts", "/upcoming/blackouts"], ["Backfills", "/upcoming/backfills"], ["Approvals", "/approvals"], ["Dead letters", "/dead-letters"],
  ["Connections", "/connections"], ["Templates", "/templates"], ["Metrics", "/metrics"], ["Settings", "/settings"],
];
const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-/;

export default function Palette({ onClose }: { onClose: () => void }) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const [, navigate] = useLocation();
  const workflows = useGet<Page<Workflow>>("/api/v1/workflows", { limit: 100 });
  const wanted = text.trim().toLowerCase();
  const all: [string, string][] = [
    ...(ID.test(wanted) ? [[`Explain ${wanted}`, `/explain?ref=${wanted}`], [`Run ${wanted}`, `/runs/${wanted}`]] as [string, string][] : []),
    ...PAGES,
    ...(workflows.data?.items ?? []).map((one): [string, string] => [`Workflow ${one.name}`, `/workflows/${one.id}`]),
  ];
  const found = all.filter(([name]) => name.toLowerCase().includes(wanted)).slice(0, 12);
  function go(target: string | undefined): void {
    if (!target) return;
    onClose();
    navigate(target);
  }
  return (
    <Dialog title="Go to" onClose={onClose}>
      <input
        aria-label="Page, workflow or id"
        aria-controls="palette-list"
        aria-activedescendant={found.length ? `palette-${at}` : undefined}
        role="combobox"
        aria-expanded="true"
        autoFocus
        placeholder="Page, workflow or id"
        value={text}
        onChange={(event) => { setText(event.target.value); setAt(0); }}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown") setAt(Math.min(at + 1, found.length - 1));
          else if (event.key === "ArrowUp") setAt(Math.max(at - 1, 0));
          else if (event.key === "Enter") go(found[at]?.[1]);
          else return;
          event.preventDefault();
        }}
      />
      <ul id="palette-list" role="listbox" aria-label="Found" className="palette">
        {found.map(([name, target], index) => (
          <li key={target + name} id={`palette-${index}`} role="option" aria-selected={index === at} onClick={() => go(target)}>{name}</li>
        ))}
      </ul>
      {found.length === 0 && <p className="muted">Nothing has that name.</p>}
    </Dialog>
  );
}
