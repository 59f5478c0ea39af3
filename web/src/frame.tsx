/** What is around every page: the rail, the strip with the scheduler's pulse, the command palette, and signing in. */

import { lazy, Suspense, useEffect, useRef, useState, type FormEvent, type ReactNode } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { Link, useLocation } from "wouter";
import { onSignedOut, setKey } from "./lib/api";
import { useGet, useNow } from "./lib/hooks";
import { heard, useLive } from "./lib/live";
import { applyTheme, theme, type Theme } from "./lib/theme";
import { duration, relative } from "./lib/time";
import type { Page, Schedule, Wait } from "./lib/types";
import { Button, Dialog } from "./parts/basic";
import { Icon } from "./parts/icon";

const Palette = lazy(() => import("./palette"));
const RAIL: [string, string, string][] = [
  ["/", "Home", "home"], ["/workflows", "Workflows", "workflows"], ["/runs", "Runs", "runs"], ["/events", "Events", "event"],
  ["/upcoming", "Upcoming", "clock"], ["/approvals", "Approvals", "approvals"], ["/dead-letters", "Dead letters", "letters"],
  ["/connections", "Connections", "connections"], ["/templates", "Templates", "templates"], ["/metrics", "Metrics", "metrics"],
  ["/settings", "Settings", "settings"],
];
const STALE_MILLISECONDS = 10_000;

export function Frame({ children }: { children: ReactNode }) {
  const [palette, setPalette] = useState(false);
  const [signIn, setSignIn] = useState(false);
  const [path] = useLocation();
  useEffect(() => onSignedOut(() => setSignIn(true)), []);
  useEffect(() => {
    function pressed(event: KeyboardEvent): void {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        setPalette(true);
      }
    }
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, []);
  return (
    <div className="frame">
      <a className="skip" href="#main">Skip to the page</a>
      <Rail path={path} />
      <div className="side">
        <Strip onPalette={() => setPalette(true)} />
        <main id="main" tabIndex={-1}>{children}</main>
      </div>
      {palette && (
        <Suspense fallback={null}>
          <Palette onClose={() => setPalette(false)} />
        </Suspense>
      )}
      {signIn && <SignIn onDone={() => setSignIn(false)} />}
    </div>
  );
}

function Rail({ path }: { path: string }) {
  const waits = useGet<Page<Wait>>("/api/v1/waits", { status: "OPEN", limit: 100 });
  const count = waits.data?.items.length ?? 0;
  const list = useRef<HTMLUListElement>(null);
  useEffect(() => {
    // On a narrow page the list is wider than the page.
    const here = list.current?.querySelector<HTMLElement>("[aria-current]");
    if (list.current && here) list.current.scrollLeft = here.offsetLeft - list.current.clientWidth / 2 + here.clientWidth / 2;
  }, [path]);
  return (
    <nav className="rail" aria-label="Main">
      <Link href="/" className="brand"><img src="/icon.svg" alt="" width="26" height="26" /> <span>Scheduler</span></Link>
      <ul ref={list}>
        {RAIL.map(([href, name, sign]) => {
          const here = href === "/" ? path === "/" : path.startsWith(href);
          return (
            <li key={href}>
              <Link href={href} aria-current={here ? "page" : undefined}>
                <Icon name={sign} /> <span className="name">{name}</span>
                {href === "/approvals" && count > 0 && <span className="count">{count}{waits.data?.next ? "+" : ""}<span className="hidden"> open</span></span>}
              </Link>
            </li>
          );
        })}
      </ul>
    </nav>
  );
}

interface Health {
  status: string;
  components: {
    trigger_manager?: { active_triggers?: number };
    queue?: { scheduler_dispatch_lag_seconds?: number; scheduler_due?: number };
  };
}

function Strip({ onPalette }: { onPalette: () => void }) {
  const health = useGet<Health>("/health/detailed", {}, 5000);
  const upcoming = useGet<Page<Schedule>>("/api/v1/upcoming", { limit: 1 }, 15_000);
  const live = useLive();
  const now = useNow();
  const answeredAt = health.dataUpdatedAt;
  useEffect(() => {
    if (answeredAt) heard();
  }, [answeredAt]);
  const silent = now - Math.max(live.heardAt, answeredAt);
  const next = upcoming.data?.items[0]?.next_fire_at;
  const parts = health.data?.components;
  const late = parts?.queue?.scheduler_dispatch_lag_seconds ?? 0;
  const gone = silent > STALE_MILLISECONDS;
  return (
    <header className="strip">
      <p className={gone ? "pulse gone" : "pulse"} role="status">
        {gone ? (
          `The scheduler has not answered for ${duration(silent)}. What is accepted is safe; this page goes on by itself.`
        ) : (
          <>
            <b>Scheduler</b> <span className={live.connected ? "dot on" : "dot"} aria-hidden="true">●</span>
            {live.connected ? ` last heard ${silent < 1000 ? "now" : `${duration(silent)} ago`}` : " reconnecting"}
            <span className="more"> · {parts?.trigger_manager?.active_triggers ?? "–"} triggers armed · lag {late < 0.05 ? "0" : duration(late * 1000)}
              {next ? ` · next fire ${relative(next, now)}` : " · nothing planned"}</span>
          </>
        )}
      </p>
      <div className="actions">
        <Button kind="quiet" onClick={onPalette} title="Ctrl-K"><Icon name="search" size={14} /> <span className="word">Search</span> <kbd>Ctrl K</kbd></Button>
        <ThemeChoice />
      </div>
    </header>
  );
}

function ThemeChoice() {
  const [chosen, choose] = useState<Theme>(theme());
  return (
    <select className="small" aria-label="Theme" value={chosen} onChange={(event) => { const next = event.target.value as Theme; choose(next); applyTheme(next); }}>
      <option value="system">System</option>
      <option value="light">Light</option>
      <option value="dark">Dark</option>
    </select>
  );
}

function SignIn({ onDone }: { onDone: () => void }) {
  const client = useQueryClient();
  function submit(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    setKey(String(new FormData(event.currentTarget).get("key") ?? "").trim());
    onDone();
    void client.invalidateQueries();
  }
  return (
    <Dialog title="Sign in" onClose={onDone}>
      <form onSubmit={submit} className="stack">
        <label className="field">
          <span className="field-name">API key or token</span>
          <input name="key" type="password" autoComplete="off" required />
          <span className="hint">It stays in this tab. Make one with <code>workflow-scheduler keys create</code>.</span>
        </label>
        <div className="actions"><Button type="submit" kind="main">Sign in</Button></div>
      </form>
    </Dialog>
  );
}
