-- What triggers with a shape remember: groups of events that start one run, starts within a rate, values that were seen.
-- `owner` is the trigger, or the workflow that several triggers count for. `starts` is a JSON list of times, `due_at`
-- when the row is looked at again.
CREATE TABLE shape_groups (
  tenant_id TEXT NOT NULL, owner TEXT NOT NULL, kind TEXT NOT NULL, grp TEXT NOT NULL, trigger_id TEXT NOT NULL,
  value TEXT, opened_at INTEGER NOT NULL, due_at INTEGER NOT NULL, count INTEGER NOT NULL, bytes INTEGER NOT NULL,
  depth INTEGER NOT NULL, starts TEXT NOT NULL,
  PRIMARY KEY (tenant_id, owner, kind, grp)
) STRICT, WITHOUT ROWID;
CREATE INDEX shape_groups_due ON shape_groups (due_at);
CREATE TABLE shape_events (
  tenant_id TEXT NOT NULL, owner TEXT NOT NULL, kind TEXT NOT NULL, grp TEXT NOT NULL, event_id TEXT NOT NULL,
  at INTEGER NOT NULL, data BLOB NOT NULL,
  PRIMARY KEY (tenant_id, owner, kind, grp, event_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX decisions_kept ON decisions (tenant_id, trigger_id, event_id)
  WHERE outcome IN ('suspended', 'held') AND reason NOT IN ('released', 'discarded');
