-- Of the runs that wait for their turn, those of a higher priority go first.
ALTER TABLE runs ADD COLUMN priority SMALLINT NOT NULL DEFAULT 0;
DROP INDEX runs_overlap;
CREATE INDEX runs_overlap ON runs (tenant_id, overlap_key, owner, priority DESC, id)
  WHERE overlap_key IS NOT NULL AND status IN ('QUEUED', 'RUNNING', 'PAUSED');

-- What jobs hold of pools, or wait for (core/dag/pools). `capacity` is that of a workflow's pool; a tenant's is looked up.
CREATE TABLE resource_claims (
  tenant_id TEXT COLLATE "C" NOT NULL, run_id TEXT COLLATE "C" NOT NULL, job_id TEXT COLLATE "C" NOT NULL,
  pool TEXT COLLATE "C" NOT NULL, amount BIGINT NOT NULL CHECK (amount > 0), capacity BIGINT, place BIGINT NOT NULL,
  granted BIGINT NOT NULL DEFAULT 0 CHECK (granted IN (-1, 0, 1)), fence BIGINT NOT NULL, attempt BIGINT NOT NULL,
  asked_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, run_id, job_id, pool)
);
CREATE INDEX resource_claims_pool ON resource_claims (tenant_id, pool, granted, place);
ALTER TABLE resource_claims ENABLE ROW LEVEL SECURITY;
ALTER TABLE resource_claims FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON resource_claims USING ((SELECT current_setting('wfs.tenant', true)) IN (tenant_id, '*'));
