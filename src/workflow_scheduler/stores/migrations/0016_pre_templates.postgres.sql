-- Definitions that a tenant keeps under a name, to run or to make workflows from. `definition` and `input_schema` are
-- JSON. What runs is a version in workflow_versions, under an id made from the tenant and the template's name.
CREATE TABLE workflow_templates (
  tenant_id TEXT COLLATE "C" NOT NULL, name TEXT COLLATE "C" NOT NULL, description TEXT NOT NULL,
  category TEXT COLLATE "C" NOT NULL, definition TEXT NOT NULL, input_schema TEXT NOT NULL, version BIGINT NOT NULL,
  created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, updated_by TEXT,
  PRIMARY KEY (tenant_id, name)
);
CREATE INDEX workflow_versions_hash ON workflow_versions (tenant_id, workflow_id, hash);

ALTER TABLE workflow_templates ENABLE ROW LEVEL SECURITY;
ALTER TABLE workflow_templates FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON workflow_templates USING ((SELECT current_setting('wfs.tenant', true)) IN (tenant_id, '*'));
