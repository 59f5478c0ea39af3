-- What sources that can only list have seen: each item by its name, with the version that was heard last.
CREATE TABLE source_items (
  tenant_id TEXT COLLATE "C" NOT NULL, type TEXT COLLATE "C" NOT NULL, key TEXT COLLATE "C" NOT NULL,
  name TEXT COLLATE "C" NOT NULL, version TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, type, key, name)
);
ALTER TABLE source_items ENABLE ROW LEVEL SECURITY;
ALTER TABLE source_items FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON source_items USING ((SELECT current_setting('wfs.tenant', true)) IN (tenant_id, '*'));
