/** The jobs of a definition, or of a run, as a graph. */

import type { Definition, Job, JobRecord } from "./types";
import { duration } from "./time";

export interface GraphJob {
  id: string;
  needs: string[];
  /** How a job must have ended where that is not success. */
  conditions: Record<string, string>;
  kind: string;
  status?: string | undefined;
  note?: string | undefined;
  /** Whether it cannot run as it is written. */
  wrong?: boolean;
}

export interface Need {
  job: string;
  condition: string;
}

export const CONDITIONS = ["on_success", "on_failure", "on_completion"];

/** The jobs that a job waits for, and how each must have ended. */
export function needEntries(job: Job): Need[] {
  const needs = job.needs ?? [];
  const all = typeof needs === "string" ? [needs] : Array.isArray(needs) ? (needs as (string | Need)[]) : Object.keys(needs);
  return all.map((one) => (typeof one === "string" ? { job: one, condition: "on_success" } : { job: one.job, condition: one.condition ?? "on_success" }));
}

export function needsOf(job: Job): string[] {
  return needEntries(job).map((one) => one.job);
}

/** The shortest way to write needs down. */
export function written(needs: Need[]): (string | Need)[] {
  return needs.map((one) => (one.condition === "on_success" ? one.job : one));
}

export function kindOf(job: Job): string {
  return job.run !== undefined ? "run" : (job.uses ?? "noop");
}

/** Jobs with `order_index` and without needs run one after the other. */
function ordered(jobs: [string, Job][]): Map<string, string[]> {
  const rows = jobs.filter(([, job]) => job["order_index"] !== undefined).sort(([, a], [, b]) => Number(a["order_index"]) - Number(b["order_index"]));
  return new Map(rows.slice(1).map(([id], index) => [id, [rows[index]?.[0] ?? ""]]));
}

export function graphOf(definition: Definition, records: JobRecord[] = []): GraphJob[] {
  const jobs = Object.entries(definition.jobs ?? {});
  const sequence = ordered(jobs);
  const known = new Map(records.map((one) => [one.id, one]));
  return jobs.map(([id, job]) => {
    const record = known.get(id);
    const needs = needsOf(job);
    const took = record?.started_at && record.ended_at ? duration(new Date(record.ended_at).getTime() - new Date(record.started_at).getTime()) : undefined;
    return {
      id,
      needs: needs.length ? needs : (sequence.get(id) ?? []),
      conditions: Object.fromEntries(needEntries(job).filter((one) => one.condition !== "on_success").map((one) => [one.job, one.condition])),
      kind: kindOf(job),
      status: records.length ? (record?.status ?? "PENDING") : undefined,
      note: took ?? (record && record.attempt > 1 ? `attempt ${record.attempt}` : undefined),
    };
  });
}
