-- `fires` counts the fires that started runs (`max_fires`), `failures` the runs that failed in a row
-- (`pause_after_failures`). Times up to `resume_until` passed during a pause that is over: the timer settles them by
-- `resume_as` (none, latest or all).
ALTER TABLE schedules ADD COLUMN fires BIGINT NOT NULL DEFAULT 0;
ALTER TABLE schedules ADD COLUMN failures BIGINT NOT NULL DEFAULT 0;
ALTER TABLE schedules ADD COLUMN resume_until BIGINT;
ALTER TABLE schedules ADD COLUMN resume_as TEXT COLLATE "C";

-- Stretches of time in which a tenant's time triggers do not fire; `definition` is JSON.
CREATE TABLE blackouts (
  tenant_id TEXT COLLATE "C" NOT NULL, name TEXT COLLATE "C" NOT NULL, definition TEXT COLLATE "C" NOT NULL,
  revision BIGINT NOT NULL DEFAULT 1, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL,
  updated_by TEXT COLLATE "C",
  PRIMARY KEY (tenant_id, name)
);
ALTER TABLE blackouts ENABLE ROW LEVEL SECURITY;
ALTER TABLE blackouts FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON blackouts USING ((SELECT current_setting('wfs.tenant', true)) IN (tenant_id, '*'));
