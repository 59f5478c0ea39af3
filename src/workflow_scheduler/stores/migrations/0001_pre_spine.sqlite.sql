-- Times are microseconds UTC, ids are UUID text, JSON is text or bytes. Every table begins with the tenant.
-- Tables are STRICT, so that a value of the wrong type fails here as it does on PostgreSQL. Rows that carry payloads
-- of a kilobyte live in rowid tables: in WITHOUT ROWID tables they would spill into overflow pages.

CREATE TABLE index_epoch (id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL) STRICT;
INSERT INTO index_epoch VALUES (1, 1);

CREATE TABLE tenants (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, settings TEXT NOT NULL DEFAULT '{}', created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE workflows (
  tenant_id TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL,
  latest_version INTEGER NOT NULL DEFAULT 0, live_version INTEGER,
  deployment_status TEXT NOT NULL DEFAULT 'UNDEPLOYED'
    CHECK (deployment_status IN ('UNDEPLOYED', 'DEPLOYING', 'DEPLOYED', 'DEPLOYMENT_FAILED')),
  deployment_error TEXT, paused INTEGER NOT NULL DEFAULT 0, paused_reason TEXT, paused_until INTEGER, paused_by TEXT,
  revision INTEGER NOT NULL DEFAULT 1, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX workflows_name ON workflows (tenant_id, name);
CREATE INDEX workflows_paused_until ON workflows (paused_until) WHERE paused_until IS NOT NULL;

CREATE TABLE workflow_versions (
  tenant_id TEXT NOT NULL, workflow_id TEXT NOT NULL, version INTEGER NOT NULL,
  definition TEXT NOT NULL, source TEXT, source_format TEXT NOT NULL DEFAULT 'json', hash TEXT NOT NULL,
  created_at INTEGER NOT NULL, created_by TEXT,
  PRIMARY KEY (tenant_id, workflow_id, version)
) STRICT;

CREATE TABLE deployments (
  tenant_id TEXT NOT NULL, id TEXT NOT NULL, workflow_id TEXT NOT NULL, version INTEGER,
  action TEXT NOT NULL CHECK (action IN ('deploy', 'undeploy', 'rollback')),
  status TEXT NOT NULL, step TEXT, error TEXT, changes TEXT NOT NULL DEFAULT '{}',
  actor TEXT, started_at INTEGER NOT NULL, ended_at INTEGER,
  PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX deployments_workflow ON deployments (tenant_id, workflow_id, id);

CREATE TABLE trigger_index (
  tenant_id TEXT NOT NULL, id TEXT NOT NULL, workflow_id TEXT NOT NULL, workflow_version INTEGER NOT NULL,
  name TEXT NOT NULL, trigger_type TEXT NOT NULL DEFAULT 'TRIGGER', trigger_subtype TEXT NOT NULL,
  trigger_config TEXT NOT NULL, shared TEXT NOT NULL DEFAULT '{}', index_key TEXT,
  deployment_status TEXT NOT NULL DEFAULT 'active'
    CHECK (deployment_status IN ('active', 'inactive', 'pending', 'failed')),
  mode TEXT NOT NULL DEFAULT 'enabled' CHECK (mode IN ('enabled', 'disabled', 'suspended')),
  mode_reason TEXT, revision INTEGER NOT NULL DEFAULT 1, error TEXT, removed_at INTEGER,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX trigger_index_name ON trigger_index (tenant_id, workflow_id, name);
CREATE INDEX idx_trigger_index_key ON trigger_index (trigger_subtype, index_key) WHERE index_key IS NOT NULL;

-- The matcher's look-up: one row per (index key, sub key) of an active trigger, at most a few per trigger.
CREATE TABLE trigger_keys (
  tenant_id TEXT NOT NULL, trigger_subtype TEXT NOT NULL, index_key TEXT NOT NULL, sub_key TEXT NOT NULL DEFAULT '',
  trigger_id TEXT NOT NULL,
  PRIMARY KEY (tenant_id, trigger_subtype, index_key, sub_key, trigger_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX trigger_keys_trigger ON trigger_keys (tenant_id, trigger_id);
CREATE INDEX trigger_keys_public ON trigger_keys (trigger_subtype, index_key);

CREATE TABLE schedules (
  tenant_id TEXT NOT NULL, trigger_id TEXT NOT NULL, workflow_id TEXT NOT NULL, kind TEXT NOT NULL,
  revision INTEGER NOT NULL DEFAULT 1, anchor INTEGER NOT NULL, next_fire_at INTEGER, next_nominal INTEGER,
  last_fired_at INTEGER, last_nominal INTEGER, paused INTEGER NOT NULL DEFAULT 0, paused_reason TEXT,
  paused_until INTEGER, paused_by TEXT, completed INTEGER NOT NULL DEFAULT 0, tzdata TEXT NOT NULL DEFAULT '', updated_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, trigger_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX schedules_due ON schedules (next_fire_at) WHERE next_fire_at IS NOT NULL AND paused = 0;

CREATE TABLE occurrences (
  tenant_id TEXT NOT NULL, trigger_id TEXT NOT NULL, nominal INTEGER NOT NULL,
  nominal_local TEXT NOT NULL, timezone TEXT NOT NULL, fold INTEGER NOT NULL DEFAULT 0, tzdata TEXT NOT NULL,
  outcome TEXT NOT NULL, reason TEXT, note TEXT, run_id TEXT, event_id TEXT, recorded_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, trigger_id, nominal)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
  tenant_id TEXT NOT NULL, id TEXT NOT NULL, provider TEXT NOT NULL, source TEXT NOT NULL, type TEXT NOT NULL,
  subject TEXT, event_key TEXT NOT NULL, time INTEGER NOT NULL, received_at INTEGER NOT NULL,
  data BLOB NOT NULL, attributes BLOB NOT NULL, index_keys TEXT NOT NULL, sub_keys TEXT NOT NULL,
  target_trigger_id TEXT, depth INTEGER NOT NULL DEFAULT 0, cause_run_id TEXT, traceparent TEXT, user_id TEXT,
  replay_of TEXT, duplicates INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX events_key ON events (tenant_id, source, event_key);

CREATE TABLE decisions (
  tenant_id TEXT NOT NULL, event_id TEXT NOT NULL, trigger_id TEXT NOT NULL, workflow_id TEXT NOT NULL,
  outcome TEXT NOT NULL, reason TEXT NOT NULL, predicates BLOB NOT NULL, run_id TEXT, decided_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, event_id, trigger_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX decisions_trigger ON decisions (tenant_id, trigger_id, event_id);

CREATE TABLE runs (
  tenant_id TEXT NOT NULL, id TEXT NOT NULL, workflow_id TEXT NOT NULL, workflow TEXT NOT NULL,
  version INTEGER NOT NULL, trigger_id TEXT NOT NULL, trigger_type TEXT NOT NULL,
  event_id TEXT NOT NULL, event_key TEXT NOT NULL, engine TEXT NOT NULL, status TEXT NOT NULL,
  owner TEXT, fence INTEGER NOT NULL DEFAULT 1, deliveries INTEGER NOT NULL DEFAULT 1,
  input BLOB NOT NULL, output BLOB, error BLOB, scheduled_for INTEGER,
  created_at INTEGER NOT NULL, started_at INTEGER, ended_at INTEGER, next_attempt_at INTEGER, external_id TEXT,
  depth INTEGER NOT NULL DEFAULT 0, cause_run_id TEXT, replay_of TEXT, traceparent TEXT, user_id TEXT, bearer BLOB,
  cancel_requested INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX runs_key ON runs (tenant_id, trigger_id, event_key);
CREATE INDEX runs_workflow ON runs (tenant_id, workflow_id, id);
CREATE INDEX runs_failed ON runs (tenant_id, status, id) WHERE status IN ('FAILED', 'CANCELLED');
CREATE INDEX runs_open ON runs (status, next_attempt_at) WHERE status IN ('QUEUED', 'RUNNING', 'PAUSED');

CREATE TABLE jobs (
  tenant_id TEXT NOT NULL, run_id TEXT NOT NULL, job_id TEXT NOT NULL, status TEXT NOT NULL,
  attempt INTEGER NOT NULL DEFAULT 1, started_at INTEGER, ended_at INTEGER, output BLOB, error BLOB, wake_at INTEGER,
  PRIMARY KEY (tenant_id, run_id, job_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE job_logs (
  tenant_id TEXT NOT NULL, run_id TEXT NOT NULL, seq INTEGER NOT NULL, job_id TEXT NOT NULL, attempt INTEGER NOT NULL,
  at INTEGER NOT NULL, stream TEXT NOT NULL, line TEXT NOT NULL,
  PRIMARY KEY (tenant_id, run_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE dead_letters (
  tenant_id TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, event_id TEXT, run_id TEXT, trigger_id TEXT,
  workflow_id TEXT, reason TEXT NOT NULL, detail TEXT NOT NULL, payload BLOB NOT NULL, attempts INTEGER NOT NULL,
  status TEXT NOT NULL DEFAULT 'dead' CHECK (status IN ('dead', 'redriven', 'discarded')),
  created_at INTEGER NOT NULL, settled_at INTEGER,
  PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE INDEX dead_letters_open ON dead_letters (tenant_id, status, id);

CREATE TABLE joins (
  tenant_id TEXT NOT NULL, trigger_id TEXT NOT NULL, member TEXT NOT NULL, event_id TEXT NOT NULL,
  run_id TEXT, status TEXT NOT NULL, at INTEGER NOT NULL, data BLOB NOT NULL,
  PRIMARY KEY (tenant_id, trigger_id, member)
) STRICT, WITHOUT ROWID;

CREATE TABLE secrets (
  tenant_id TEXT NOT NULL, name TEXT NOT NULL, sealed BLOB NOT NULL, created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL, updated_by TEXT,
  PRIMARY KEY (tenant_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE api_keys (
  tenant_id TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, prefix TEXT NOT NULL,
  user_id TEXT NOT NULL, role TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER, revoked_at INTEGER,
  PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX api_keys_digest ON api_keys (digest);

CREATE TABLE idempotency_keys (
  tenant_id TEXT NOT NULL, scope TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL,
  status INTEGER NOT NULL, body BLOB NOT NULL, created_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, scope, key)
) STRICT;
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

-- GitHub's deliveries under the names that the platform's other services read; stored once, as events.
CREATE VIEW github_webhook_events AS
SELECT tenant_id, id, json_extract(CAST(attributes AS TEXT), '$.delivery') AS delivery_id,
  json_extract(CAST(attributes AS TEXT), '$.event') AS event_type,
  json_extract(CAST(attributes AS TEXT), '$.installation_id') AS installation_id,
  CASE json_type(CAST(data AS TEXT), '$.repository.id')
    WHEN 'integer' THEN json_extract(CAST(data AS TEXT), '$.repository.id') END AS repository_id,
  data AS payload, received_at AS processed_at, received_at AS created_at
FROM events WHERE provider = 'github';

-- Which processes are alive; a run whose owner's lease has run out is taken over under a higher fence.
CREATE TABLE instances (
  id TEXT PRIMARY KEY, started_at INTEGER NOT NULL, lease_until INTEGER NOT NULL, roles TEXT NOT NULL,
  tzdata TEXT NOT NULL, version TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Rows that could not be read at start-up; they are listed, and left out of the work.
CREATE TABLE quarantine (
  tenant_id TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, detail TEXT NOT NULL, found_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, kind, id)
) STRICT, WITHOUT ROWID;
