-- Of the runs that wait for their turn, those of a higher priority go first.
ALTER TABLE runs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
DROP INDEX runs_overlap;
CREATE INDEX runs_overlap ON runs (tenant_id, overlap_key, owner, priority DESC, id)
  WHERE overlap_key IS NOT NULL AND status IN ('QUEUED', 'RUNNING', 'PAUSED');

-- What jobs hold of pools, or wait for (core/dag/pools). `capacity` is that of a workflow's pool; a tenant's is looked up.
CREATE TABLE resource_claims (
  tenant_id TEXT NOT NULL, run_id TEXT NOT NULL, job_id TEXT NOT NULL,
  pool TEXT NOT NULL, amount INTEGER NOT NULL CHECK (amount > 0), capacity INTEGER, place INTEGER NOT NULL,
  granted INTEGER NOT NULL DEFAULT 0 CHECK (granted IN (-1, 0, 1)), fence INTEGER NOT NULL, attempt INTEGER NOT NULL,
  asked_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, run_id, job_id, pool)
) STRICT, WITHOUT ROWID;
CREATE INDEX resource_claims_pool ON resource_claims (tenant_id, pool, granted, place);
