-- Backfills: ranges of a schedule's times that are run afterwards, a few at once.
CREATE TABLE backfills (
  tenant_id TEXT NOT NULL, id TEXT NOT NULL, workflow_id TEXT NOT NULL, workflow TEXT NOT NULL,
  trigger_id TEXT NOT NULL, trigger_name TEXT NOT NULL, type TEXT NOT NULL, config TEXT NOT NULL,
  anchor INTEGER NOT NULL, version INTEGER, since INTEGER NOT NULL, until INTEGER NOT NULL,
  reprocess TEXT NOT NULL CHECK (reprocess IN ('missing', 'failed', 'all')),
  run_order TEXT NOT NULL CHECK (run_order IN ('forward', 'reverse')), ignore_skips INTEGER NOT NULL,
  max_active INTEGER NOT NULL, input BLOB,
  status TEXT NOT NULL CHECK (status IN ('running', 'paused', 'cancelling', 'cancelled', 'completed')),
  position INTEGER NOT NULL, exhausted INTEGER NOT NULL DEFAULT 0, planned INTEGER NOT NULL,
  started INTEGER NOT NULL DEFAULT 0, succeeded INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0,
  cancelled INTEGER NOT NULL DEFAULT 0, skipped INTEGER NOT NULL DEFAULT 0, active TEXT NOT NULL DEFAULT '[]',
  cancel_runs INTEGER NOT NULL DEFAULT 0, note TEXT, user_id TEXT, owner TEXT, fence INTEGER NOT NULL DEFAULT 0,
  revision INTEGER NOT NULL DEFAULT 1, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, paused_at INTEGER,
  paused_us INTEGER NOT NULL DEFAULT 0, ended_at INTEGER,
  PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX backfills_open ON backfills (id) WHERE status IN ('running', 'paused', 'cancelling');

-- The backfill that a run belongs to. These indexes hold only such runs, and those that repeat an earlier event.
ALTER TABLE runs ADD COLUMN backfill_id TEXT;
CREATE INDEX runs_backfill ON runs (tenant_id, backfill_id, id) WHERE backfill_id IS NOT NULL;
CREATE INDEX runs_backfilled ON runs (tenant_id, trigger_id, scheduled_for) WHERE backfill_id IS NOT NULL;
CREATE INDEX runs_replay_of ON runs (tenant_id, replay_of) WHERE replay_of IS NOT NULL;
