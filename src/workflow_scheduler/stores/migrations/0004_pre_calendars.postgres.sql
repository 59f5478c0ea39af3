-- Calendars, all of their versions (JSON of the specification), and edits whose due rows are still being moved.
CREATE TABLE calendars (
  tenant_id TEXT COLLATE "C" NOT NULL, name TEXT COLLATE "C" NOT NULL, version BIGINT NOT NULL,
  description TEXT COLLATE "C" NOT NULL, members TEXT COLLATE "C" NOT NULL, created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL, updated_by TEXT COLLATE "C",
  PRIMARY KEY (tenant_id, name)
);
CREATE TABLE calendar_versions (
  tenant_id TEXT COLLATE "C" NOT NULL, name TEXT COLLATE "C" NOT NULL, version BIGINT NOT NULL,
  spec TEXT COLLATE "C" NOT NULL, created_at BIGINT NOT NULL, created_by TEXT COLLATE "C",
  PRIMARY KEY (tenant_id, name, version)
);
CREATE TABLE calendar_moves (
  tenant_id TEXT COLLATE "C" NOT NULL, name TEXT COLLATE "C" NOT NULL, version BIGINT NOT NULL,
  place TEXT COLLATE "C" NOT NULL, started_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, name)
);
DO $$
DECLARE
  name TEXT;
BEGIN
  FOREACH name IN ARRAY ARRAY['calendars', 'calendar_versions', 'calendar_moves'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format(
      'CREATE POLICY tenant ON %I USING ((SELECT current_setting(''wfs.tenant'', true)) IN (tenant_id, ''*''))', name);
  END LOOP;
END $$;
