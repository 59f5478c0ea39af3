/** The documents of the API that the pages show. */

export interface Page<T> {
  items: T[];
  next: string | null;
}

export interface DecisionNote {
  event_id: string;
  outcome: string;
  reason: string;
  run_id: string | null;
  decided_at: string;
}

export interface Trigger {
  id: string;
  workflow_id: string;
  workflow: string;
  name: string;
  type: string;
  mode: string;
  mode_reason: string | null;
  deployment_status: string;
  config: Record<string, unknown>;
  condition: string | null;
  next_fire_at: string | null;
  last_fired_at: string | null;
  completed: boolean;
  paused: boolean;
  waiting: number;
  workflow_version?: number;
  description: string;
  last_decision: DecisionNote | null;
  revision: number;
  error: string | null;
}

export interface Job {
  needs?: string[] | string | Record<string, unknown>;
  run?: string;
  uses?: string;
  if?: string;
  run_if?: string;
  with?: Record<string, unknown>;
  [more: string]: unknown;
}

export interface Definition {
  name: string;
  description?: string;
  triggers?: Record<string, Record<string, unknown>>;
  jobs?: Record<string, Job>;
  [more: string]: unknown;
}

export interface Workflow {
  id: string;
  name: string;
  version: number;
  live_version: number | null;
  deployment_status: string;
  deployment_error: string | null;
  paused: boolean;
  paused_reason: string | null;
  paused_until: string | null;
  paused_by: string | null;
  revision: number;
  definition: Definition;
  triggers: Trigger[];
  updated_at: string;
}

export interface JobRecord {
  id: string;
  status: string;
  attempt: number;
  started_at: string | null;
  ended_at: string | null;
  wake_at: string | null;
  output: unknown;
  error: Fault | null;
  reused_from: string | null;
}

export interface Fault {
  code?: string;
  message?: string;
  job?: string;
  [more: string]: unknown;
}

export interface Run {
  id: string;
  workflow_id: string;
  workflow: string;
  version: number;
  status: string;
  trigger_id: string;
  trigger_type: string;
  trigger?: string;
  event_id: string;
  scheduled_for: string | null;
  input: unknown;
  output: unknown;
  error: Fault | null;
  created_at: string;
  started_at: string | null;
  ended_at: string | null;
  duration_ms: number | null;
  engine: string;
  deliveries: number;
  cancel_requested: boolean;
  rerun_of: string | null;
  waiting: boolean;
  jobs?: JobRecord[];
  parallelism?: Parallelism | null;
  cause?: Cause;
}

export interface Parallelism {
  [name: string]: unknown;
}

export interface Cause {
  summary: string;
  event: StoredEvent | null;
  decision: Decision | null;
  lateness_ms: number | null;
  occurrence_note: string | null;
  upstream: { run_id?: string; workflow?: string } | null;
}

export interface StoredEvent {
  id: string;
  source: string;
  type: string;
  subject: string | null;
  provider: string;
  time: string;
  received_at: string;
  data?: unknown;
  event_key: string;
  attributes?: Record<string, unknown>;
  index_keys?: string[];
  duplicates?: number;
  replay_of: string | null;
  cause_run_id?: string | null;
}

export interface Predicate {
  name: string;
  expected: unknown;
  actual: unknown;
  verdict: boolean | null;
  note: string | null;
}

export interface Decision {
  event_id: string;
  trigger_id: string;
  trigger: string;
  trigger_type: string;
  workflow_id: string;
  workflow: string;
  outcome: string;
  reason: string;
  predicates: Predicate[];
  run_id: string | null;
  run_status: string | null;
  decided_at: string;
  recorded: boolean;
  summary: string;
}

export interface Schedule {
  id: string;
  name: string;
  workflow_id: string;
  workflow: string;
  type: string;
  timezone: string;
  paused: boolean;
  workflow_paused: boolean;
  completed: boolean;
  mode: string;
  next_fire_at: string | null;
  last_fired_at: string | null;
}

export interface Occurrence {
  nominal_local: string;
  utc: string | null;
  timezone: string;
  outcome: string;
  reason: string | null;
  note: string | null;
  run_id: string | null;
}

export interface Wait {
  id: string;
  status: string;
  ask: string;
  to: string[];
  form: Schema | null;
  decision: boolean;
  quorum: number;
  require_comment: boolean;
  workflow: string;
  workflow_id: string;
  run_id: string;
  job_id: string;
  opened_at: string;
  expires_at: string | null;
  on_timeout: string;
  answers: { by?: string; approved?: boolean; at?: string; comment?: string }[];
}

export interface DeadLetter {
  id: string;
  kind: string;
  reason: string;
  detail: string;
  status: string;
  workflow?: string;
  workflow_id: string | null;
  event_id: string | null;
  run_id: string | null;
  trigger_id: string | null;
  payload?: unknown;
  attempts: number;
  created_at: string;
}

/** The part of JSON Schema that the service's schemas use. */
export interface Schema {
  type?: string | string[];
  title?: string;
  description?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  enum?: unknown[];
  const?: unknown;
  allOf?: Schema[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  items?: Schema;
  default?: unknown;
  examples?: unknown[];
  format?: string;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  maxLength?: number;
  additionalProperties?: boolean | Schema;
  deprecated?: boolean;
  $ref?: string;
  $defs?: Record<string, Schema>;
  secret?: boolean;
  ui?: { widget?: string; [more: string]: unknown };
  /** Of a list: whether one of its texts may stand without it. */
  alone?: boolean;
}

export interface TriggerType {
  name: string;
  title: string;
  summary: string;
  documentation: string;
  icon: string;
  shape: string;
  extras: string;
  schema: Schema;
  shared: Schema | Record<string, unknown>;
  ui: unknown;
  examples: Record<string, unknown>[];
}
