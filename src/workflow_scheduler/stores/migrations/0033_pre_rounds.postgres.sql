-- Rounds of workflows that wait for others: what has arrived, and when the round is over. `correlation` tells rounds
-- apart by a value; `number` is the begin of a fixed window, 0 for the round that takes what arrives otherwise, or when
-- a round was closed. `due_at` is when it is looked at again, NULL for one that waits for ever or is over.
SELECT set_config('wfs.tenant', '*', true);
CREATE TABLE join_rounds (
  tenant_id TEXT COLLATE "C" NOT NULL, trigger_id TEXT COLLATE "C" NOT NULL, correlation TEXT COLLATE "C" NOT NULL,
  number BIGINT NOT NULL, value TEXT COLLATE "C", opened_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, due_at BIGINT,
  missed_at BIGINT,
  PRIMARY KEY (tenant_id, trigger_id, correlation, number)
);
CREATE INDEX join_rounds_due ON join_rounds (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE join_members (
  tenant_id TEXT COLLATE "C" NOT NULL, trigger_id TEXT COLLATE "C" NOT NULL, correlation TEXT COLLATE "C" NOT NULL,
  number BIGINT NOT NULL, member TEXT COLLATE "C" NOT NULL, event_id TEXT COLLATE "C" NOT NULL,
  run_id TEXT COLLATE "C", status TEXT COLLATE "C" NOT NULL, at BIGINT NOT NULL, depth BIGINT NOT NULL,
  data BYTEA NOT NULL,
  PRIMARY KEY (tenant_id, trigger_id, correlation, number, member)
);
INSERT INTO join_rounds (tenant_id, trigger_id, correlation, number, opened_at, updated_at)
  SELECT tenant_id, trigger_id, '', 0, MIN(at), MAX(at) FROM joins GROUP BY tenant_id, trigger_id;
INSERT INTO join_members (tenant_id, trigger_id, correlation, number, member, event_id, run_id, status, at, depth, data)
  SELECT tenant_id, trigger_id, '', 0, member, event_id, run_id, status, at, 1, data FROM joins;
DROP TABLE joins;
ALTER TABLE join_rounds ENABLE ROW LEVEL SECURITY;
ALTER TABLE join_rounds FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON join_rounds USING ((SELECT current_setting('wfs.tenant', true)) IN (tenant_id, '*'));
ALTER TABLE join_members ENABLE ROW LEVEL SECURITY;
ALTER TABLE join_members FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON join_members USING ((SELECT current_setting('wfs.tenant', true)) IN (tenant_id, '*'));
