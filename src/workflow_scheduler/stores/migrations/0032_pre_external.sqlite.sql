-- Which execution of an engine elsewhere an open run is.
CREATE INDEX runs_external ON runs (tenant_id, external_id)
  WHERE external_id IS NOT NULL AND status IN ('QUEUED', 'RUNNING', 'PAUSED');
