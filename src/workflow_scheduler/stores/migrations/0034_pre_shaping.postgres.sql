-- What triggers with a shape remember: groups of events that start one run, starts within a rate, values that were seen.
-- `owner` is the trigger, or the workflow that several triggers count for. `starts` is a JSON list of times, `due_at`
-- when the row is looked at again.
CREATE TABLE shape_groups (
  tenant_id TEXT COLLATE "C" NOT NULL, owner TEXT COLLATE "C" NOT NULL, kind TEXT COLLATE "C" NOT NULL,
  grp TEXT COLLATE "C" NOT NULL, trigger_id TEXT COLLATE "C" NOT NULL, value TEXT COLLATE "C",
  opened_at BIGINT NOT NULL, due_at BIGINT NOT NULL, count BIGINT NOT NULL, bytes BIGINT NOT NULL, depth BIGINT NOT NULL,
  starts TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, owner, kind, grp)
);
CREATE INDEX shape_groups_due ON shape_groups (due_at);
CREATE TABLE shape_events (
  tenant_id TEXT COLLATE "C" NOT NULL, owner TEXT COLLATE "C" NOT NULL, kind TEXT COLLATE "C" NOT NULL,
  grp TEXT COLLATE "C" NOT NULL, event_id TEXT COLLATE "C" NOT NULL, at BIGINT NOT NULL, data BYTEA NOT NULL,
  PRIMARY KEY (tenant_id, owner, kind, grp, event_id)
);
ALTER TABLE shape_groups ENABLE ROW LEVEL SECURITY;
ALTER TABLE shape_groups FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON shape_groups USING ((SELECT current_setting('wfs.tenant', true)) IN (tenant_id, '*'));
ALTER TABLE shape_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE shape_events FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON shape_events USING ((SELECT current_setting('wfs.tenant', true)) IN (tenant_id, '*'));
CREATE INDEX decisions_kept ON decisions (tenant_id, trigger_id, event_id)
  WHERE outcome IN ('suspended', 'held') AND reason NOT IN ('released', 'discarded');
