-- Calendars, all of their versions (JSON of the specification), and edits whose due rows are still being moved.
CREATE TABLE calendars (
  tenant_id TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, description TEXT NOT NULL,
  members TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, updated_by TEXT,
  PRIMARY KEY (tenant_id, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE calendar_versions (
  tenant_id TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, spec TEXT NOT NULL,
  created_at INTEGER NOT NULL, created_by TEXT,
  PRIMARY KEY (tenant_id, name, version)
) STRICT;
CREATE TABLE calendar_moves (
  tenant_id TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, place TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, name)
) STRICT, WITHOUT ROWID;
