-- Times are microseconds UTC (BIGINT), ids are UUID text in byte order, JSON is text or bytes, booleans are 0 and 1.
-- Every table begins with the tenant.

CREATE TABLE index_epoch (id BIGINT PRIMARY KEY CHECK (id = 1), epoch BIGINT NOT NULL);
INSERT INTO index_epoch VALUES (1, 1);

CREATE TABLE tenants (
  id TEXT COLLATE "C" PRIMARY KEY, name TEXT COLLATE "C" NOT NULL, settings TEXT COLLATE "C" NOT NULL DEFAULT '{}',
  created_at BIGINT NOT NULL
);

CREATE TABLE workflows (
  tenant_id TEXT COLLATE "C" NOT NULL, id TEXT COLLATE "C" NOT NULL, name TEXT COLLATE "C" NOT NULL,
  latest_version BIGINT NOT NULL DEFAULT 0, live_version BIGINT,
  deployment_status TEXT COLLATE "C" NOT NULL DEFAULT 'UNDEPLOYED'
    CHECK (deployment_status IN ('UNDEPLOYED', 'DEPLOYING', 'DEPLOYED', 'DEPLOYMENT_FAILED')),
  deployment_error TEXT COLLATE "C", paused SMALLINT NOT NULL DEFAULT 0, paused_reason TEXT COLLATE "C",
  paused_until BIGINT, paused_by TEXT COLLATE "C",
  revision BIGINT NOT NULL DEFAULT 1, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX workflows_name ON workflows (tenant_id, name);
CREATE INDEX workflows_paused_until ON workflows (paused_until) WHERE paused_until IS NOT NULL;

CREATE TABLE workflow_versions (
  tenant_id TEXT COLLATE "C" NOT NULL, workflow_id TEXT COLLATE "C" NOT NULL, version BIGINT NOT NULL,
  definition TEXT COLLATE "C" NOT NULL, source TEXT COLLATE "C",
  source_format TEXT COLLATE "C" NOT NULL DEFAULT 'json', hash TEXT COLLATE "C" NOT NULL,
  created_at BIGINT NOT NULL, created_by TEXT COLLATE "C",
  PRIMARY KEY (tenant_id, workflow_id, version)
);

CREATE TABLE deployments (
  tenant_id TEXT COLLATE "C" NOT NULL, id TEXT COLLATE "C" NOT NULL, workflow_id TEXT COLLATE "C" NOT NULL,
  version BIGINT,
  action TEXT COLLATE "C" NOT NULL CHECK (action IN ('deploy', 'undeploy', 'rollback')),
  status TEXT COLLATE "C" NOT NULL, step TEXT COLLATE "C", error TEXT COLLATE "C",
  changes TEXT COLLATE "C" NOT NULL DEFAULT '{}',
  actor TEXT COLLATE "C", started_at BIGINT NOT NULL, ended_at BIGINT,
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX deployments_workflow ON deployments (tenant_id, workflow_id, id);

CREATE TABLE trigger_index (
  tenant_id TEXT COLLATE "C" NOT NULL, id TEXT COLLATE "C" NOT NULL, workflow_id TEXT COLLATE "C" NOT NULL,
  workflow_version BIGINT NOT NULL,
  name TEXT COLLATE "C" NOT NULL, trigger_type TEXT COLLATE "C" NOT NULL DEFAULT 'TRIGGER',
  trigger_subtype TEXT COLLATE "C" NOT NULL,
  trigger_config TEXT COLLATE "C" NOT NULL, shared TEXT COLLATE "C" NOT NULL DEFAULT '{}', index_key TEXT COLLATE "C",
  deployment_status TEXT COLLATE "C" NOT NULL DEFAULT 'active'
    CHECK (deployment_status IN ('active', 'inactive', 'pending', 'failed')),
  mode TEXT COLLATE "C" NOT NULL DEFAULT 'enabled' CHECK (mode IN ('enabled', 'disabled', 'suspended')),
  mode_reason TEXT COLLATE "C", revision BIGINT NOT NULL DEFAULT 1, error TEXT COLLATE "C", removed_at BIGINT,
  created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX trigger_index_name ON trigger_index (tenant_id, workflow_id, name);
CREATE INDEX idx_trigger_index_key ON trigger_index (trigger_subtype, index_key) WHERE index_key IS NOT NULL;

-- The matcher's look-up: one row per (index key, sub key) of an active trigger, at most a few per trigger.
CREATE TABLE trigger_keys (
  tenant_id TEXT COLLATE "C" NOT NULL, trigger_subtype TEXT COLLATE "C" NOT NULL, index_key TEXT COLLATE "C" NOT NULL,
  sub_key TEXT COLLATE "C" NOT NULL DEFAULT '',
  trigger_id TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, trigger_subtype, index_key, sub_key, trigger_id)
);
CREATE INDEX trigger_keys_trigger ON trigger_keys (tenant_id, trigger_id);
CREATE INDEX trigger_keys_public ON trigger_keys (trigger_subtype, index_key);

CREATE TABLE schedules (
  tenant_id TEXT COLLATE "C" NOT NULL, trigger_id TEXT COLLATE "C" NOT NULL, workflow_id TEXT COLLATE "C" NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  revision BIGINT NOT NULL DEFAULT 1, anchor BIGINT NOT NULL, next_fire_at BIGINT, next_nominal BIGINT,
  last_fired_at BIGINT, last_nominal BIGINT, paused SMALLINT NOT NULL DEFAULT 0, paused_reason TEXT COLLATE "C",
  paused_until BIGINT, paused_by TEXT COLLATE "C", completed SMALLINT NOT NULL DEFAULT 0,
  tzdata TEXT COLLATE "C" NOT NULL DEFAULT '', updated_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, trigger_id)
);
CREATE INDEX schedules_due ON schedules (next_fire_at) WHERE next_fire_at IS NOT NULL AND paused = 0;

CREATE TABLE occurrences (
  tenant_id TEXT COLLATE "C" NOT NULL, trigger_id TEXT COLLATE "C" NOT NULL, nominal BIGINT NOT NULL,
  nominal_local TEXT COLLATE "C" NOT NULL, timezone TEXT COLLATE "C" NOT NULL, fold BIGINT NOT NULL DEFAULT 0,
  tzdata TEXT COLLATE "C" NOT NULL,
  outcome TEXT COLLATE "C" NOT NULL, reason TEXT COLLATE "C", note TEXT COLLATE "C", run_id TEXT COLLATE "C",
  event_id TEXT COLLATE "C", recorded_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, trigger_id, nominal)
);

CREATE TABLE events (
  tenant_id TEXT COLLATE "C" NOT NULL, id TEXT COLLATE "C" NOT NULL, provider TEXT COLLATE "C" NOT NULL,
  source TEXT COLLATE "C" NOT NULL, type TEXT COLLATE "C" NOT NULL,
  subject TEXT COLLATE "C", event_key TEXT COLLATE "C" NOT NULL, time BIGINT NOT NULL, received_at BIGINT NOT NULL,
  data BYTEA NOT NULL, attributes BYTEA NOT NULL, index_keys TEXT COLLATE "C" NOT NULL,
  sub_keys TEXT COLLATE "C" NOT NULL,
  target_trigger_id TEXT COLLATE "C", depth BIGINT NOT NULL DEFAULT 0, cause_run_id TEXT COLLATE "C",
  traceparent TEXT COLLATE "C", user_id TEXT COLLATE "C",
  replay_of TEXT COLLATE "C", duplicates BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX events_key ON events (tenant_id, source, event_key);

CREATE TABLE decisions (
  tenant_id TEXT COLLATE "C" NOT NULL, event_id TEXT COLLATE "C" NOT NULL, trigger_id TEXT COLLATE "C" NOT NULL,
  workflow_id TEXT COLLATE "C" NOT NULL,
  outcome TEXT COLLATE "C" NOT NULL, reason TEXT COLLATE "C" NOT NULL, predicates BYTEA NOT NULL,
  run_id TEXT COLLATE "C", decided_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, event_id, trigger_id)
);
CREATE INDEX decisions_trigger ON decisions (tenant_id, trigger_id, event_id);

CREATE TABLE runs (
  tenant_id TEXT COLLATE "C" NOT NULL, id TEXT COLLATE "C" NOT NULL, workflow_id TEXT COLLATE "C" NOT NULL,
  workflow TEXT COLLATE "C" NOT NULL,
  version BIGINT NOT NULL, trigger_id TEXT COLLATE "C" NOT NULL, trigger_type TEXT COLLATE "C" NOT NULL,
  event_id TEXT COLLATE "C" NOT NULL, event_key TEXT COLLATE "C" NOT NULL, engine TEXT COLLATE "C" NOT NULL,
  status TEXT COLLATE "C" NOT NULL,
  owner TEXT COLLATE "C", fence BIGINT NOT NULL DEFAULT 1, deliveries BIGINT NOT NULL DEFAULT 1,
  input BYTEA NOT NULL, output BYTEA, error BYTEA, scheduled_for BIGINT,
  created_at BIGINT NOT NULL, started_at BIGINT, ended_at BIGINT, next_attempt_at BIGINT, external_id TEXT COLLATE "C",
  depth BIGINT NOT NULL DEFAULT 0, cause_run_id TEXT COLLATE "C", replay_of TEXT COLLATE "C",
  traceparent TEXT COLLATE "C", user_id TEXT COLLATE "C", bearer BYTEA,
  cancel_requested SMALLINT NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX runs_key ON runs (tenant_id, trigger_id, event_key);
CREATE INDEX runs_workflow ON runs (tenant_id, workflow_id, id);
CREATE INDEX runs_failed ON runs (tenant_id, status, id) WHERE status IN ('FAILED', 'CANCELLED');
CREATE INDEX runs_open ON runs (status, next_attempt_at) WHERE status IN ('QUEUED', 'RUNNING', 'PAUSED');

CREATE TABLE jobs (
  tenant_id TEXT COLLATE "C" NOT NULL, run_id TEXT COLLATE "C" NOT NULL, job_id TEXT COLLATE "C" NOT NULL,
  status TEXT COLLATE "C" NOT NULL,
  attempt BIGINT NOT NULL DEFAULT 1, started_at BIGINT, ended_at BIGINT, output BYTEA, error BYTEA, wake_at BIGINT,
  PRIMARY KEY (tenant_id, run_id, job_id)
);

CREATE TABLE job_logs (
  tenant_id TEXT COLLATE "C" NOT NULL, run_id TEXT COLLATE "C" NOT NULL, seq BIGINT NOT NULL,
  job_id TEXT COLLATE "C" NOT NULL, attempt BIGINT NOT NULL,
  at BIGINT NOT NULL, stream TEXT COLLATE "C" NOT NULL, line TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, run_id, seq)
);

CREATE TABLE dead_letters (
  tenant_id TEXT COLLATE "C" NOT NULL, id TEXT COLLATE "C" NOT NULL, kind TEXT COLLATE "C" NOT NULL,
  event_id TEXT COLLATE "C", run_id TEXT COLLATE "C", trigger_id TEXT COLLATE "C",
  workflow_id TEXT COLLATE "C", reason TEXT COLLATE "C" NOT NULL, detail TEXT COLLATE "C" NOT NULL,
  payload BYTEA NOT NULL, attempts BIGINT NOT NULL,
  status TEXT COLLATE "C" NOT NULL DEFAULT 'dead' CHECK (status IN ('dead', 'redriven', 'discarded')),
  created_at BIGINT NOT NULL, settled_at BIGINT,
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX dead_letters_open ON dead_letters (tenant_id, status, id);

CREATE TABLE joins (
  tenant_id TEXT COLLATE "C" NOT NULL, trigger_id TEXT COLLATE "C" NOT NULL, member TEXT COLLATE "C" NOT NULL,
  event_id TEXT COLLATE "C" NOT NULL,
  run_id TEXT COLLATE "C", status TEXT COLLATE "C" NOT NULL, at BIGINT NOT NULL, data BYTEA NOT NULL,
  PRIMARY KEY (tenant_id, trigger_id, member)
);

CREATE TABLE secrets (
  tenant_id TEXT COLLATE "C" NOT NULL, name TEXT COLLATE "C" NOT NULL, sealed BYTEA NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL, updated_by TEXT COLLATE "C",
  PRIMARY KEY (tenant_id, name)
);

CREATE TABLE api_keys (
  tenant_id TEXT COLLATE "C" NOT NULL, id TEXT COLLATE "C" NOT NULL, name TEXT COLLATE "C" NOT NULL,
  digest TEXT COLLATE "C" NOT NULL, prefix TEXT COLLATE "C" NOT NULL,
  user_id TEXT COLLATE "C" NOT NULL, role TEXT COLLATE "C" NOT NULL, created_at BIGINT NOT NULL, expires_at BIGINT,
  revoked_at BIGINT,
  PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX api_keys_digest ON api_keys (digest);

CREATE TABLE idempotency_keys (
  tenant_id TEXT COLLATE "C" NOT NULL, scope TEXT COLLATE "C" NOT NULL, key TEXT COLLATE "C" NOT NULL,
  fingerprint TEXT COLLATE "C" NOT NULL,
  status BIGINT NOT NULL, body BYTEA NOT NULL, created_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, scope, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

-- Text at a path of JSON that is kept as bytes; NULL where PostgreSQL cannot show it (`\u0000`).
CREATE FUNCTION wfs_json_text(value BYTEA, VARIADIC path TEXT[]) RETURNS TEXT LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN convert_from(value, 'UTF8')::json #>> path;
EXCEPTION WHEN data_exception THEN
  RETURN NULL;
END $$;

-- GitHub's deliveries under the names that the platform's other services read; stored once, as events. The view sees
-- what its reader may see: the row security of `events` binds it.
CREATE VIEW github_webhook_events WITH (security_invoker = true) AS
SELECT tenant_id, id, wfs_json_text(attributes, 'delivery') AS delivery_id,
  wfs_json_text(attributes, 'event') AS event_type,
  CASE WHEN wfs_json_text(attributes, 'installation_id') ~ '^[0-9]{1,18}$'
    THEN wfs_json_text(attributes, 'installation_id')::BIGINT END AS installation_id,
  CASE WHEN wfs_json_text(data, 'repository', 'id') ~ '^[0-9]{1,18}$'
    THEN wfs_json_text(data, 'repository', 'id')::BIGINT END AS repository_id,
  data AS payload, received_at AS processed_at, received_at AS created_at
FROM events WHERE provider = 'github';

-- Which processes are alive; a run whose owner's lease has run out is taken over under a higher fence.
CREATE TABLE instances (
  id TEXT COLLATE "C" PRIMARY KEY, started_at BIGINT NOT NULL, lease_until BIGINT NOT NULL,
  roles TEXT COLLATE "C" NOT NULL,
  tzdata TEXT COLLATE "C" NOT NULL, version TEXT COLLATE "C" NOT NULL
);

-- Rows that could not be read at start-up; they are listed, and left out of the work.
CREATE TABLE quarantine (
  tenant_id TEXT COLLATE "C" NOT NULL, kind TEXT COLLATE "C" NOT NULL, id TEXT COLLATE "C" NOT NULL,
  detail TEXT COLLATE "C" NOT NULL, found_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, kind, id)
);

-- A deploy and the batches that were decided before it must not overtake each other: a batch holds the lock shared from
-- its look at the epoch to its commit, whoever moves the epoch holds it alone. The look is a statement of its own inside
-- a volatile function, so that it sees what was committed while it waited.
CREATE FUNCTION wfs_epoch() RETURNS BIGINT LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(77381, 1);
  RETURN (SELECT epoch FROM index_epoch);
END $$;

CREATE FUNCTION wfs_epoch_moves() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(77381, 1);
  PERFORM pg_notify('wfs_epoch', NEW.epoch::text);
  RETURN NEW;
END $$;
CREATE TRIGGER index_epoch_moves BEFORE UPDATE ON index_epoch FOR EACH ROW EXECUTE FUNCTION wfs_epoch_moves();

-- The `{json:…}` macro of the portable SQL: JSON is kept as text or as bytes.
CREATE FUNCTION wfs_json(value TEXT) RETURNS JSONB LANGUAGE sql IMMUTABLE AS 'SELECT value::jsonb';
CREATE FUNCTION wfs_json(value BYTEA) RETURNS JSONB LANGUAGE sql IMMUTABLE AS
  'SELECT convert_from(value, ''UTF8'')::jsonb';

-- Row security. A session says whose rows it sees with `SET wfs.tenant`; `*` is for the service's own loops, which serve
-- all tenants; a session that says nothing sees nothing. FORCE binds the owner as well. Superusers and roles with
-- BYPASSRLS are never bound: sessions of the program therefore change to the role wfs_service, where it exists.
DO $$
DECLARE
  name TEXT;
BEGIN
  FOREACH name IN ARRAY ARRAY[
    'workflows', 'workflow_versions', 'deployments', 'trigger_index', 'trigger_keys', 'schedules', 'occurrences',
    'events', 'decisions', 'runs', 'jobs', 'job_logs', 'dead_letters', 'joins', 'secrets', 'api_keys',
    'idempotency_keys', 'quarantine'
  ] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format(
      'CREATE POLICY tenant ON %I USING ((SELECT current_setting(''wfs.tenant'', true)) IN (tenant_id, ''*''))', name);
  END LOOP;
END $$;
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenants USING ((SELECT current_setting('wfs.tenant', true)) IN (id, '*'));

-- The role belongs to the whole server, so another database may have made it. A connecting user who may not create
-- roles goes on as the owner, whom FORCE binds.
DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'wfs_service') THEN
    CREATE ROLE wfs_service NOLOGIN NOBYPASSRLS;
  END IF;
EXCEPTION WHEN insufficient_privilege OR duplicate_object OR unique_violation THEN
  RAISE NOTICE 'the role wfs_service could not be created: %', SQLERRM;
END $$;
DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'wfs_service') THEN
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO wfs_service', current_schema());
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO wfs_service', current_schema());
    EXECUTE format(
      'ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO wfs_service',
      current_schema());
  END IF;
EXCEPTION WHEN insufficient_privilege THEN
  RAISE NOTICE 'the role wfs_service could not be given its rights: %', SQLERRM;
END $$;
DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'wfs_service') THEN
    GRANT wfs_service TO CURRENT_USER;
  END IF;
EXCEPTION WHEN insufficient_privilege THEN
  RAISE NOTICE 'the connecting user may not become wfs_service: %', SQLERRM;
END $$;
