-- Backfills: ranges of a schedule's times that are run afterwards, a few at once.
CREATE TABLE backfills (
  tenant_id TEXT COLLATE "C" NOT NULL, id TEXT COLLATE "C" NOT NULL, workflow_id TEXT COLLATE "C" NOT NULL,
  workflow TEXT COLLATE "C" NOT NULL, trigger_id TEXT COLLATE "C" NOT NULL, trigger_name TEXT COLLATE "C" NOT NULL,
  type TEXT COLLATE "C" NOT NULL, config TEXT COLLATE "C" NOT NULL,
  anchor BIGINT NOT NULL, version BIGINT, since BIGINT NOT NULL, until BIGINT NOT NULL,
  reprocess TEXT COLLATE "C" NOT NULL CHECK (reprocess IN ('missing', 'failed', 'all')),
  run_order TEXT COLLATE "C" NOT NULL CHECK (run_order IN ('forward', 'reverse')), ignore_skips SMALLINT NOT NULL,
  max_active BIGINT NOT NULL, input BYTEA,
  status TEXT COLLATE "C" NOT NULL
    CHECK (status IN ('running', 'paused', 'cancelling', 'cancelled', 'completed')),
  position BIGINT NOT NULL, exhausted SMALLINT NOT NULL DEFAULT 0, planned BIGINT NOT NULL,
  started BIGINT NOT NULL DEFAULT 0, succeeded BIGINT NOT NULL DEFAULT 0, failed BIGINT NOT NULL DEFAULT 0,
  cancelled BIGINT NOT NULL DEFAULT 0, skipped BIGINT NOT NULL DEFAULT 0,
  active TEXT COLLATE "C" NOT NULL DEFAULT '[]', cancel_runs SMALLINT NOT NULL DEFAULT 0, note TEXT COLLATE "C",
  user_id TEXT COLLATE "C", owner TEXT COLLATE "C", fence BIGINT NOT NULL DEFAULT 0,
  revision BIGINT NOT NULL DEFAULT 1, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, paused_at BIGINT,
  paused_us BIGINT NOT NULL DEFAULT 0, ended_at BIGINT,
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX backfills_open ON backfills (id) WHERE status IN ('running', 'paused', 'cancelling');
ALTER TABLE backfills ENABLE ROW LEVEL SECURITY;
ALTER TABLE backfills FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON backfills USING ((SELECT current_setting('wfs.tenant', true)) IN (tenant_id, '*'));

-- The backfill that a run belongs to. These indexes hold only such runs, and those that repeat an earlier event.
ALTER TABLE runs ADD COLUMN backfill_id TEXT COLLATE "C";
CREATE INDEX runs_backfill ON runs (tenant_id, backfill_id, id) WHERE backfill_id IS NOT NULL;
CREATE INDEX runs_backfilled ON runs (tenant_id, trigger_id, scheduled_for) WHERE backfill_id IS NOT NULL;
CREATE INDEX runs_replay_of ON runs (tenant_id, replay_of) WHERE replay_of IS NOT NULL;
