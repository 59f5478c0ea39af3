-- Rounds of workflows that wait for others: what has arrived, and when the round is over. `correlation` tells rounds
-- apart by a value; `number` is the begin of a fixed window, 0 for the round that takes what arrives otherwise, or when
-- a round was closed. `due_at` is when it is looked at again, NULL for one that waits for ever or is over.
CREATE TABLE join_rounds (
  tenant_id TEXT NOT NULL, trigger_id TEXT NOT NULL, correlation TEXT NOT NULL, number INTEGER NOT NULL,
  value TEXT, opened_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, due_at INTEGER, missed_at INTEGER,
  PRIMARY KEY (tenant_id, trigger_id, correlation, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX join_rounds_due ON join_rounds (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE join_members (
  tenant_id TEXT NOT NULL, trigger_id TEXT NOT NULL, correlation TEXT NOT NULL, number INTEGER NOT NULL,
  member TEXT NOT NULL, event_id TEXT NOT NULL, run_id TEXT, status TEXT NOT NULL, at INTEGER NOT NULL,
  depth INTEGER NOT NULL, data BLOB NOT NULL,
  PRIMARY KEY (tenant_id, trigger_id, correlation, number, member)
) STRICT, WITHOUT ROWID;
INSERT INTO join_rounds (tenant_id, trigger_id, correlation, number, opened_at, updated_at)
  SELECT tenant_id, trigger_id, '', 0, MIN(at), MAX(at) FROM joins GROUP BY tenant_id, trigger_id;
INSERT INTO join_members (tenant_id, trigger_id, correlation, number, member, event_id, run_id, status, at, depth, data)
  SELECT tenant_id, trigger_id, '', 0, member, event_id, run_id, status, at, 1, data FROM joins;
DROP TABLE joins;
