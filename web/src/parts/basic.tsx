/** The small parts that every page is made of. */

import { useEffect, useId, useRef, useState, type ReactNode } from "react";
import { Link } from "wouter";
import { curl, Problem, type Sending } from "../lib/api";
import { useNow, useTitle } from "../lib/hooks";
import { absolute, relative, viewerZone } from "../lib/time";

export function Page({ title, actions, about, children }: { title: string; actions?: ReactNode; about?: ReactNode; children: ReactNode }) {
  useTitle(title);
  return (
    <>
      <header className="page-head">
        <div>
          <h1>{title}</h1>
          {about && <p className="muted">{about}</p>}
        </div>
        <div className="actions">{actions}</div>
      </header>
      {children}
    </>
  );
}

/** A part of a page. `label` tells several with one title apart. */
export function Panel({ title, actions, children, label }: { title?: ReactNode; actions?: ReactNode; children: ReactNode; label?: string }) {
  const heading = useId();
  return (
    <section className="panel" aria-label={label} aria-labelledby={title && !label ? heading : undefined}>
      {(title || actions) && (
        <div className="panel-head">
          {title && <h2 id={heading}>{title}</h2>}
          <div className="actions">{actions}</div>
        </div>
      )}
      {children}
    </section>
  );
}

const TONES: Record<string, [string, string]> = {
  SUCCEEDED: ["good", "✓"], DEPLOYED: ["good", "✓"], run_started: ["good", "✓"], enabled: ["good", "●"], healthy: ["good", "●"],
  fired: ["good", "✓"], OPEN: ["wait", "?"], active: ["good", "●"], ANSWERED: ["good", "✓"], redriven: ["good", "✓"],
  FAILED: ["bad", "✕"], DEPLOYMENT_FAILED: ["bad", "✕"], failed: ["bad", "✕"], dead: ["bad", "✕"], missed: ["bad", "!"],
  unhealthy: ["bad", "✕"], error: ["bad", "✕"], quarantined: ["bad", "✕"],
  RUNNING: ["busy", "▶"], DEPLOYING: ["busy", "▶"], QUEUED: ["idle", "…"], PAUSED: ["wait", "Ⅱ"], paused: ["wait", "Ⅱ"],
  suspended: ["wait", "Ⅱ"], degraded: ["wait", "!"], waiting: ["wait", "…"],
};

/** A state in a word, a sign and a colour. */
export function Status({ value, label }: { value: string; label?: string }) {
  const [tone, sign] = TONES[value] ?? ["idle", "–"];
  return (
    <span className={`status ${tone}`}>
      <span aria-hidden="true">{sign}</span> {label ?? value.toLowerCase().replaceAll("_", " ")}
    </span>
  );
}

/** An instant: how far away it is, and in the tooltip when that is, in its zone and in the viewer's. */
export function When({ at, zone, exact }: { at: string | null | undefined; zone?: string; exact?: boolean }) {
  const now = useNow();
  if (!at) return <span className="muted">–</span>;
  const there = absolute(at, zone ?? viewerZone);
  const hint = zone && zone !== viewerZone ? `${there} (${zone})\n${absolute(at)} (${viewerZone})` : `${there} (${viewerZone})`;
  return (
    <time dateTime={at} title={hint}>
      {exact ? there : relative(at, now)}
    </time>
  );
}

export function Loading({ what = "Loading" }: { what?: string }) {
  return (
    <div className="view" role="status">
      <span className="spinner" aria-hidden="true" /> {what} …
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="view empty">
      <p className="strong">{title}</p>
      {children}
    </div>
  );
}

/** A sentence of the service, in which names stand between backticks. */
export function Told({ text }: { text: string }) {
  const parts = text.split("`");
  if (parts.length % 2 === 0) return <>{text}</>;
  return <>{parts.map((one, index) => (index % 2 ? <code key={index}>{one}</code> : one))}</>;
}

/** What a refusal says, and what to do about it. */
export function Refused({ by }: { by: Problem }) {
  return <p className="field-error" role="alert"><Told text={sentence(by.message) + (by.fix ? ` ${sentence(by.fix)}` : "")} /></p>;
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

export function Failed({ error, again }: { error: Error; again?: () => void }) {
  const problem = error instanceof Problem ? error : null;
  return (
    <div className="view failed" role="alert">
      <p className="strong">{problem ? problem.title : "The service does not answer."}</p>
      <p>{error.message}</p>
      {problem?.fix && <p>{problem.fix}</p>}
      {problem && problem.errors.length > 0 && (
        <ul>
          {problem.errors.map((one, index) => (
            <li key={index}>
              {one.line ? `line ${one.line}, column ${one.column}: ` : ""}
              <code>{one.field}</code>: {one.message}
            </li>
          ))}
        </ul>
      )}
      {again && <Button onClick={again}>Try again</Button>}
    </div>
  );
}

export interface Asked<T> {
  data?: T | undefined;
  error: Error | null;
  refetch: () => unknown;
}

/** Shows what was asked for, or that it is loading, or why it is not there. */
export function Loaded<T>({ of, children }: { of: Asked<T>; children: (value: T) => ReactNode }) {
  if (of.data !== undefined) return <>{children(of.data)}</>;
  if (of.error) return <Failed error={of.error} again={() => void of.refetch()} />;
  return <Loading />;
}

interface ButtonProps {
  onClick?: (() => void) | undefined;
  kind?: "plain" | "main" | "danger" | "quiet";
  disabled?: boolean;
  type?: "button" | "submit";
  children: ReactNode;
  label?: string;
  title?: string;
}

export function Button({ onClick, kind = "plain", disabled, type = "button", children, label, title }: ButtonProps) {
  return (
    <button type={type} className={`button ${kind}`} onClick={onClick} disabled={disabled} aria-label={label} title={title}>
      {children}
    </button>
  );
}

export function LinkButton({ href, kind = "plain", children }: { href: string; kind?: "plain" | "main"; children: ReactNode }) {
  return (
    <Link href={href} className={`button ${kind}`}>
      {children}
    </Link>
  );
}

export function Switch({ on, onChange, label, disabled }: { on: boolean; onChange: (on: boolean) => void; label: string; disabled?: boolean }) {
  return (
    <button type="button" role="switch" aria-checked={on} aria-label={label} className="switch" disabled={disabled} onClick={() => onChange(!on)}>
      <span className="knob" aria-hidden="true" />
    </button>
  );
}

/** A window over the page; Escape closes it. */
export function Dialog({ title, onClose, children, wide }: { title: string; onClose: () => void; children: ReactNode; wide?: boolean }) {
  const box = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const shown = box.current;
    shown?.showModal();
    return () => shown?.close();
  }, []);
  return (
    <dialog ref={box} className={wide ? "dialog wide" : "dialog"} aria-labelledby={heading} onCancel={(event) => { event.preventDefault(); onClose(); }}>
      <div className="panel-head">
        <h2 id={heading}>{title}</h2>
        <Button kind="quiet" label="Close" onClick={onClose}>✕</Button>
      </div>
      {children}
    </dialog>
  );
}

/** Copies a text, and says so. */
export function Copy({ text, children = "Copy" }: { text: string; children?: ReactNode }) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return undefined;
    const timer = window.setTimeout(() => setDone(false), 1500);
    return () => window.clearTimeout(timer);
  }, [done]);
  return (
    <Button kind="quiet" onClick={() => void navigator.clipboard.writeText(text).then(() => setDone(true))}>
      <span aria-live="polite">{done ? "Copied" : children}</span>
    </Button>
  );
}

/** The commands that do the same as a button of the page. */
export function Twin({ cli, path, sending }: { cli?: string; path?: string; sending?: Sending }) {
  const lines = [cli, path ? curl(path, sending) : undefined].filter((line) => line !== undefined);
  return (
    <details className="twin">
      <summary>Do the same from a shell</summary>
      {lines.map((line) => (
        <div className="command" key={line}>
          <code>{line}</code>
          <Copy text={line} />
        </div>
      ))}
    </details>
  );
}

export function Json({ value, label }: { value: unknown; label: string }) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  return (
    <pre className="json" role="group" aria-label={label} tabIndex={0}>
      {text ?? "–"}
    </pre>
  );
}

export function Facts({ children }: { children: ReactNode }) {
  return <dl className="facts">{children}</dl>;
}

export function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
