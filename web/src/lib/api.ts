/** Requests to the service, with its problems as errors. */

export interface FieldError {
  field: string;
  message: string;
  line?: number;
  column?: number;
}

/** What the service answered in place of a result: what, why, and what to do. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly fix: string | null,
    readonly errors: FieldError[],
  ) {
    super(detail || title);
  }
}

const KEY = "wfs-key";
let key = sessionStorage.getItem(KEY) ?? "";
const signedOut = new Set<() => void>();
const keyed = new Set<() => void>();

export function setKey(value: string): void {
  key = value;
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
  for (const listener of keyed) listener();
}

/** Hear of other credentials. */
export function onKey(listener: () => void): () => void {
  keyed.add(listener);
  return () => keyed.delete(listener);
}

export function onSignedOut(listener: () => void): () => void {
  signedOut.add(listener);
  return () => signedOut.delete(listener);
}

export function credentials(): Record<string, string> {
  return key ? { authorization: `Bearer ${key}` } : {};
}

export type Query = Record<string, string | number | null | undefined>;

/** A path with its query; what is empty is left out. */
export function url(path: string, query: Query = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text ? `${path}?${text}` : path;
}

export async function get<T>(path: string, signal?: AbortSignal, headers?: Record<string, string>): Promise<T> {
  return answer<T>(await fetch(path, { headers: { ...credentials(), ...headers }, signal: signal ?? null }));
}

/** Fetch a file with our credentials, and hand it to the browser to be saved. */
export async function save(path: string, name: string): Promise<void> {
  const response = await fetch(path, { headers: credentials() });
  if (!response.ok) await answer(response);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = name.split(/[\\/]/).pop() || "attachment";
  link.click();
  URL.revokeObjectURL(link.href);
}

export interface Sending {
  method?: "POST" | "PUT" | "DELETE";
  body?: unknown;
  yaml?: string;
  headers?: Record<string, string>;
}

export async function send<T>(path: string, { method = "POST", body, yaml, headers }: Sending = {}): Promise<T> {
  const type = yaml === undefined ? "application/json" : "application/yaml";
  const content = yaml ?? (body === undefined ? undefined : JSON.stringify(body));
  const all = { ...credentials(), ...headers, ...(content === undefined ? {} : { "content-type": type }) };
  return answer<T>(await fetch(path, { method, headers: all, body: content ?? null }));
}

async function answer<T>(response: Response): Promise<T> {
  const text = await response.text();
  const value = parsed(text);
  if (response.ok) return value as T;
  if (response.status === 401) for (const listener of signedOut) listener();
  const told = (typeof value === "object" && value !== null ? value : {}) as Partial<Problem>;
  throw new Problem(
    response.status,
    told.title ?? `The service answered ${response.status}.`,
    told.detail ?? text.slice(0, 300),
    told.fix ?? null,
    told.errors ?? [],
  );
}

function parsed(text: string): unknown {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return text;
  }
}

/** The command of a shell that does the same as a request of this page. */
export function curl(path: string, { method = "POST", body }: Sending = {}): string {
  const parts = ["curl", method === "POST" && body !== undefined ? "" : `-X ${method}`];
  if (key) parts.push(`-H "authorization: Bearer $WFS_API_KEY"`);
  if (body !== undefined) parts.push(`-H 'content-type: application/json' -d '${JSON.stringify(body).replaceAll("'", "'\\''")}'`);
  return [...parts, `'${location.origin}${path}'`].filter(Boolean).join(" ");
}
