-- Paused jobs that want an answer from people. `next_at` is when a reminder, the escalation or the expiry is due.
CREATE TABLE waits (
  tenant_id TEXT NOT NULL, id TEXT NOT NULL, run_id TEXT NOT NULL, job_id TEXT NOT NULL,
  number INTEGER NOT NULL, workflow_id TEXT NOT NULL, workflow TEXT NOT NULL, trigger_id TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('OPEN', 'ANSWERED', 'EXPIRED', 'CANCELLED')), request BLOB NOT NULL,
  responders TEXT NOT NULL, opened_at INTEGER NOT NULL, started_at INTEGER NOT NULL, started_by TEXT,
  expires_at INTEGER, next_at INTEGER, reminded INTEGER NOT NULL DEFAULT 0, escalated INTEGER NOT NULL DEFAULT 0,
  closed_at INTEGER, output BLOB, link_key BLOB NOT NULL,
  PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX waits_of_job ON waits (tenant_id, run_id, job_id, number);
CREATE INDEX waits_open ON waits (tenant_id, workflow_id, id) WHERE status = 'OPEN';
CREATE INDEX waits_status ON waits (tenant_id, status, id);
CREATE INDEX waits_due ON waits (next_at) WHERE status = 'OPEN' AND next_at IS NOT NULL;

-- Where answers to a wait may come from: a conversation or a correlation value.
CREATE TABLE wait_keys (
  tenant_id TEXT NOT NULL, key TEXT NOT NULL, wait_id TEXT NOT NULL, run_id TEXT NOT NULL,
  PRIMARY KEY (tenant_id, key, wait_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX wait_keys_run ON wait_keys (tenant_id, run_id);

-- What people said: one answer of each to a wait.
CREATE TABLE wait_answers (
  tenant_id TEXT NOT NULL, wait_id TEXT NOT NULL, responder TEXT NOT NULL, run_id TEXT NOT NULL,
  at INTEGER NOT NULL, via TEXT NOT NULL, approved INTEGER, answer BLOB NOT NULL, comment TEXT, event_id TEXT,
  PRIMARY KEY (tenant_id, wait_id, responder)
) STRICT, WITHOUT ROWID;
CREATE INDEX wait_answers_run ON wait_answers (tenant_id, run_id);

-- Events of the last minutes that may answer a wait which is not registered yet.
CREATE TABLE early_answers (
  tenant_id TEXT NOT NULL, key TEXT NOT NULL, event_id TEXT NOT NULL, at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, key, event_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX early_answers_at ON early_answers (at);

-- Whether runs of a workflow may wait for people, so that its events are looked at more closely.
ALTER TABLE workflows ADD COLUMN awaits INTEGER NOT NULL DEFAULT 0;
CREATE INDEX workflows_awaiting ON workflows (tenant_id) WHERE awaits = 1;
-- The groups of a member, a JSON list of names.
ALTER TABLE members ADD COLUMN member_of TEXT NOT NULL DEFAULT '[]';
