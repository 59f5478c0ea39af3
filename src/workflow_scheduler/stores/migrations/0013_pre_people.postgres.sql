-- Paused jobs that want an answer from people. `next_at` is when a reminder, the escalation or the expiry is due.
CREATE TABLE waits (
  tenant_id TEXT COLLATE "C" NOT NULL, id TEXT COLLATE "C" NOT NULL, run_id TEXT COLLATE "C" NOT NULL, job_id TEXT COLLATE "C" NOT NULL,
  number BIGINT NOT NULL, workflow_id TEXT COLLATE "C" NOT NULL, workflow TEXT COLLATE "C" NOT NULL, trigger_id TEXT COLLATE "C" NOT NULL,
  status TEXT COLLATE "C" NOT NULL CHECK (status IN ('OPEN', 'ANSWERED', 'EXPIRED', 'CANCELLED')), request BYTEA NOT NULL,
  responders TEXT NOT NULL, opened_at BIGINT NOT NULL, started_at BIGINT NOT NULL, started_by TEXT,
  expires_at BIGINT, next_at BIGINT, reminded BIGINT NOT NULL DEFAULT 0, escalated SMALLINT NOT NULL DEFAULT 0,
  closed_at BIGINT, output BYTEA, link_key BYTEA NOT NULL,
  PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX waits_of_job ON waits (tenant_id, run_id, job_id, number);
CREATE INDEX waits_open ON waits (tenant_id, workflow_id, id) WHERE status = 'OPEN';
CREATE INDEX waits_status ON waits (tenant_id, status, id);
CREATE INDEX waits_due ON waits (next_at) WHERE status = 'OPEN' AND next_at IS NOT NULL;

-- Where answers to a wait may come from: a conversation or a correlation value.
CREATE TABLE wait_keys (
  tenant_id TEXT COLLATE "C" NOT NULL, key TEXT COLLATE "C" NOT NULL, wait_id TEXT COLLATE "C" NOT NULL, run_id TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, key, wait_id)
);
CREATE INDEX wait_keys_run ON wait_keys (tenant_id, run_id);

-- What people said: one answer of each to a wait.
CREATE TABLE wait_answers (
  tenant_id TEXT COLLATE "C" NOT NULL, wait_id TEXT COLLATE "C" NOT NULL, responder TEXT COLLATE "C" NOT NULL, run_id TEXT COLLATE "C" NOT NULL,
  at BIGINT NOT NULL, via TEXT NOT NULL, approved SMALLINT, answer BYTEA NOT NULL, comment TEXT, event_id TEXT,
  PRIMARY KEY (tenant_id, wait_id, responder)
);
CREATE INDEX wait_answers_run ON wait_answers (tenant_id, run_id);

-- Events of the last minutes that may answer a wait which is not registered yet.
CREATE TABLE early_answers (
  tenant_id TEXT COLLATE "C" NOT NULL, key TEXT COLLATE "C" NOT NULL, event_id TEXT COLLATE "C" NOT NULL, at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, key, event_id)
);
CREATE INDEX early_answers_at ON early_answers (at);

-- Whether runs of a workflow may wait for people, so that its events are looked at more closely.
ALTER TABLE workflows ADD COLUMN awaits SMALLINT NOT NULL DEFAULT 0;
CREATE INDEX workflows_awaiting ON workflows (tenant_id) WHERE awaits = 1;
-- The groups of a member, a JSON list of names.
ALTER TABLE members ADD COLUMN member_of TEXT NOT NULL DEFAULT '[]';
ALTER TABLE waits ENABLE ROW LEVEL SECURITY;
ALTER TABLE waits FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON waits USING ((SELECT current_setting('wfs.tenant', true)) IN (tenant_id, '*'));
ALTER TABLE wait_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE wait_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON wait_keys USING ((SELECT current_setting('wfs.tenant', true)) IN (tenant_id, '*'));
ALTER TABLE wait_answers ENABLE ROW LEVEL SECURITY;
ALTER TABLE wait_answers FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON wait_answers USING ((SELECT current_setting('wfs.tenant', true)) IN (tenant_id, '*'));
ALTER TABLE early_answers ENABLE ROW LEVEL SECURITY;
ALTER TABLE early_answers FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON early_answers USING ((SELECT current_setting('wfs.tenant', true)) IN (tenant_id, '*'));
