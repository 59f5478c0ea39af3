/** The service's stream of changes: what changed is loaded anew; when the stream is cut off it comes back by itself. */

import type { QueryClient } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import { credentials, onKey } from "./api";

export interface LiveState {
  connected: boolean;
  /** When the service was last heard, on this browser's clock. */
  heardAt: number;
}

const TOUCHED: Record<string, string[]> = {
  events: ["/api/v1/events", "/api/v1/triggers"],
  runs: ["/api/v1/runs", "/api/v1/waits", "/api/v1/dead-letters", "/api/v1/workflows"],
  triggers: ["/api/v1/triggers", "/api/v1/workflows", "/api/v1/schedules", "/api/v1/upcoming"],
  schedules: ["/api/v1/schedules", "/api/v1/workflows", "/api/v1/upcoming"],
  backfills: ["/api/v1/backfills"],
  system: ["/api/v1/waits", "/api/v1/dead-letters", "/health"],
};
const GATHER_MILLISECONDS = 400;
const AGAIN_MILLISECONDS = [500, 1000, 2000, 4000];
const SILENCE_MILLISECONDS = 35_000;
const POLL_MILLISECONDS = 5000;

let state: LiveState = { connected: false, heardAt: Date.now() };
const watchers = new Set<() => void>();

function change(next: Partial<LiveState>): void {
  state = { ...state, ...next };
  for (const watcher of watchers) watcher();
}

export function heard(): void {
  change({ heardAt: Date.now() });
}

export function useLive(): LiveState {
  return useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    () => state,
  );
}

/** What the tab that reads the stream tells the others. */
interface Word {
  connected: boolean;
  topic?: string;
  reset?: boolean;
}

type Say = (word: Word) => void;

/** Follow the stream until `signal` ends it. */
export async function follow(client: QueryClient, signal: AbortSignal): Promise<void> {
  const topics = new Set<string>();
  let planned = 0;

  function reload(paths?: string[]): void {
    const touches = (path: string) => !paths || paths.some((prefix) => path.startsWith(prefix));
    void client.invalidateQueries({ predicate: (query) => touches(String(query.queryKey[0])) });
  }

  function note(topic: string): void {
    topics.add(topic);
    if (planned) return;
    planned = window.setTimeout(() => {
      planned = 0;
      reload([...topics].flatMap((one) => TOUCHED[one] ?? []));
      topics.clear();
    }, GATHER_MILLISECONDS);
  }

  function take(word: Word): void {
    change(word.connected ? { connected: true, heardAt: Date.now() } : { connected: false });
    if (word.reset) reload();
    if (word.topic) note(word.topic);
  }

  const polling = window.setInterval(() => {
    if (!state.connected) reload();
  }, POLL_MILLISECONDS);
  signal.addEventListener("abort", () => window.clearInterval(polling));

  while (!signal.aborted) {
    const turn = new AbortController();
    const stop = () => turn.abort();
    const forget = onKey(stop);
    signal.addEventListener("abort", stop);
    await together(take, turn.signal);
    signal.removeEventListener("abort", stop);
    forget();
  }
}

/**
 * Read the stream in one tab for all: a browser has few connections to a host, and the seventh tab would get none.
 * Tabs with other credentials, and those of a page that is not secure and so has no locks, read one of their own.
 */
async function together(take: Say, signal: AbortSignal): Promise<void> {
  if (!("locks" in navigator)) {
    await read(take, signal);
    return;
  }
  const name = `wfs-stream ${await digest(credentials()["authorization"] ?? "")}`;
  const others = new BroadcastChannel(name);
  let leads = false;
  let followed = false;
  others.onmessage = ({ data }: MessageEvent<Word | null>) => {
    if (data) {
      followed = true;
      take(data);
    } else if (leads) {
      others.postMessage({ connected: state.connected });
    }
  };
  others.postMessage(null);
  const say: Say = (word) => {
    take(word);
    others.postMessage(word);
  };
  try {
    await navigator.locks.request(name, { signal }, async () => {
      leads = true;
      await read(say, signal, followed);
    });
  } catch {
    // Other credentials have come while it waited for its turn; or the browser gives no locks here.
    if (!signal.aborted) await read(take, signal);
  } finally {
    others.close();
  }
}

async function digest(text: string): Promise<string> {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return [...new Uint8Array(bytes)].map((one) => one.toString(16).padStart(2, "0")).join("");
}

/** Read the stream, and again when it is cut off. `late`: another tab read it before, and what came since is not known. */
async function read(say: Say, signal: AbortSignal, late = false): Promise<void> {
  let last = "";
  let failures = late ? 1 : 0;
  while (!signal.aborted) {
    try {
      const headers: Record<string, string> = { ...credentials(), ...(last ? { "last-event-id": last } : {}) };
      const response = await fetch("/api/v1/stream", { headers, signal });
      if (!response.ok || !response.body) throw new Error(`the stream answered ${response.status}`);
      say({ connected: true, reset: failures > 0 });
      failures = 0;
      for await (const block of blocks(response.body, signal)) {
        const fields = new Map(block.split("\n").map((line) => split(line)));
        last = fields.get("id") ?? last;
        const data = fields.get("data");
        const topic = data && fields.has("id") ? { topic: (JSON.parse(data) as { topic: string }).topic } : {};
        say({ connected: true, reset: fields.get("event") === "reset", ...topic });
      }
    } catch {
      if (signal.aborted) return;
    }
    say({ connected: false });
    const wait = AGAIN_MILLISECONDS[Math.min(failures, AGAIN_MILLISECONDS.length - 1)] ?? 1000;
    failures += 1;
    await new Promise((resolve) => window.setTimeout(resolve, wait));
  }
}

function split(line: string): [string, string] {
  const at = line.indexOf(": ");
  return at < 0 ? [line, ""] : [line.slice(0, at), line.slice(at + 2)];
}

async function* blocks(body: ReadableStream<Uint8Array>, signal: AbortSignal): AsyncGenerator<string> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let text = "";
  try {
    while (!signal.aborted) {
      const silent = new Promise<never>((_, reject) => window.setTimeout(() => reject(new Error("silent")), SILENCE_MILLISECONDS));
      const { done, value } = await Promise.race([reader.read(), silent]);
      if (done) return;
      text += value;
      const parts = text.split("\n\n");
      text = parts.pop() ?? "";
      yield* parts;
    }
  } finally {
    void reader.cancel().catch(() => undefined);
  }
}
