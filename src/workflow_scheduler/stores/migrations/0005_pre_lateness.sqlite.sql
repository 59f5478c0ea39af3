-- `fires` counts the fires that started runs (`max_fires`), `failures` the runs that failed in a row
-- (`pause_after_failures`). Times up to `resume_until` passed during a pause that is over: the timer settles them by
-- `resume_as` (none, latest or all).
ALTER TABLE schedules ADD COLUMN fires INTEGER NOT NULL DEFAULT 0;
ALTER TABLE schedules ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE schedules ADD COLUMN resume_until INTEGER;
ALTER TABLE schedules ADD COLUMN resume_as TEXT;

-- Stretches of time in which a tenant's time triggers do not fire; `definition` is JSON.
CREATE TABLE blackouts (
  tenant_id TEXT NOT NULL, name TEXT NOT NULL, definition TEXT NOT NULL, revision INTEGER NOT NULL DEFAULT 1,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, updated_by TEXT,
  PRIMARY KEY (tenant_id, name)
) STRICT, WITHOUT ROWID;
