-- Definitions that a tenant keeps under a name, to run or to make workflows from. `definition` and `input_schema` are
-- JSON. What runs is a version in workflow_versions, under an id made from the tenant and the template's name.
CREATE TABLE workflow_templates (
  tenant_id TEXT NOT NULL, name TEXT NOT NULL, description TEXT NOT NULL, category TEXT NOT NULL,
  definition TEXT NOT NULL, input_schema TEXT NOT NULL, version INTEGER NOT NULL, created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL, updated_by TEXT,
  PRIMARY KEY (tenant_id, name)
) STRICT;
CREATE INDEX workflow_versions_hash ON workflow_versions (tenant_id, workflow_id, hash);
