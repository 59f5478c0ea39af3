-- What became of things that parked jobs wait for: one row per (job, name), taken in by the instance that owns the run.
CREATE TABLE wakes (
  tenant_id TEXT COLLATE "C" NOT NULL, run_id TEXT COLLATE "C" NOT NULL, job_id TEXT COLLATE "C" NOT NULL,
  name TEXT COLLATE "C" NOT NULL, status TEXT COLLATE "C" NOT NULL, output BYTEA, error BYTEA, at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, run_id, job_id, name)
);
ALTER TABLE wakes ENABLE ROW LEVEL SECURITY;
ALTER TABLE wakes FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON wakes USING ((SELECT current_setting('wfs.tenant', true)) IN (tenant_id, '*'));
