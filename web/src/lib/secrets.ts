/** Secrets that a new trigger names and that do not exist yet. */

import { get, send } from "./api";
import type { Page, Schema, TriggerType } from "./types";

export interface MadeSecret {
  name: string;
  value: string;
}

const shown = new Map<string, MadeSecret[]>();

/** The secrets that were made for a trigger since this page was loaded. */
export function madeFor(workflow: string, trigger: string): MadeSecret[] {
  return shown.get(`${workflow}/${trigger}`) ?? [];
}

export function remember(workflow: string, trigger: string, made: MadeSecret[]): void {
  if (made.length) shown.set(`${workflow}/${trigger}`, made);
}

/** Make the secrets that `values` name in fields for secrets; return those that were made, with their values. */
export async function makeSecrets(type: TriggerType, values: Record<string, unknown>): Promise<MadeSecret[]> {
  const named = [...new Set(secretsIn(type.schema, values, type.schema.$defs ?? {}))];
  if (named.length === 0) return [];
  const known = new Set((await get<Page<{ name: string }>>("/api/v1/secrets?limit=200")).items.map((one) => one.name));
  const made = named.filter((name) => !known.has(name)).map((name) => ({ name, value: random() }));
  for (const one of made) await send("/api/v1/secrets", { body: one });
  return made;
}

function secretsIn(schema: Schema, value: unknown, defs: Record<string, Schema>): string[] {
  const options = [schema, ...(schema.anyOf ?? []), ...(schema.$ref ? [defs[schema.$ref.split("/").at(-1) ?? ""] ?? {}] : [])];
  if (options.some((one) => one.ui?.widget === "secret")) return typeof value === "string" && value ? [value] : [];
  if (typeof value !== "object" || value === null) return [];
  const known = Object.entries(value as Record<string, unknown>);
  return options
    .flatMap((one) => (one === schema ? [one] : [one, ...(one.$ref ? [defs[one.$ref.split("/").at(-1) ?? ""] ?? {}] : [])]))
    .flatMap((one) => known.flatMap(([name, inner]) => (one.properties?.[name] ? secretsIn(one.properties[name], inner, defs) : [])));
}

function random(): string {
  return btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))));
}
