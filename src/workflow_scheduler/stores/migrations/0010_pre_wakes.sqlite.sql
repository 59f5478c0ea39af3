-- What became of things that parked jobs wait for: one row per (job, name), taken in by the instance that owns the run.
CREATE TABLE wakes (
  tenant_id TEXT NOT NULL, run_id TEXT NOT NULL, job_id TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL,
  output BLOB, error BLOB, at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, run_id, job_id, name)
) STRICT, WITHOUT ROWID;
