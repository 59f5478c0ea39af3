-- What sources that can only list have seen: each item by its name, with the version that was heard last.
CREATE TABLE source_items (
  tenant_id TEXT NOT NULL, type TEXT NOT NULL, key TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL,
  PRIMARY KEY (tenant_id, type, key, name)
) STRICT, WITHOUT ROWID;
