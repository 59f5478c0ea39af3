-- Runs that may get into each other's way share an overlap key (core/overlap); one without an owner waits for its turn.
ALTER TABLE runs ADD COLUMN overlap_key TEXT;
CREATE INDEX runs_overlap ON runs (tenant_id, overlap_key, owner, id)
  WHERE overlap_key IS NOT NULL AND status IN ('QUEUED', 'RUNNING', 'PAUSED');
