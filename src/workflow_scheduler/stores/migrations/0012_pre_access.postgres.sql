-- Facts that wait to become events: written with the change that they tell of, removed once they are accepted.
CREATE TABLE outbox (
  tenant_id TEXT COLLATE "C" NOT NULL, id TEXT COLLATE "C" NOT NULL, type TEXT NOT NULL, source TEXT NOT NULL,
  subject TEXT, data BYTEA NOT NULL, at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, id)
);

-- The people of a tenant. A row outlives its removal, so that tokens of that person are refused.
CREATE TABLE members (
  tenant_id TEXT COLLATE "C" NOT NULL, user_id TEXT COLLATE "C" NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('owner', 'editor', 'viewer')), name TEXT, email TEXT,
  created_at BIGINT NOT NULL, created_by TEXT NOT NULL, updated_at BIGINT NOT NULL, removed_at BIGINT,
  PRIMARY KEY (tenant_id, user_id)
);

-- Who asked for which change. The row is there before the work begins; without a status nobody knows how it ended.
CREATE TABLE audit (
  tenant_id TEXT COLLATE "C" NOT NULL, id TEXT COLLATE "C" NOT NULL, at BIGINT NOT NULL,
  user_id TEXT COLLATE "C" NOT NULL, role TEXT NOT NULL, authentication TEXT NOT NULL, method TEXT NOT NULL,
  path TEXT NOT NULL, status BIGINT,
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX audit_user ON audit (tenant_id, user_id, id);

ALTER TABLE outbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE outbox FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON outbox USING ((SELECT current_setting('wfs.tenant', true)) IN (tenant_id, '*'));
ALTER TABLE members ENABLE ROW LEVEL SECURITY;
ALTER TABLE members FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON members USING ((SELECT current_setting('wfs.tenant', true)) IN (tenant_id, '*'));
ALTER TABLE audit ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit USING ((SELECT current_setting('wfs.tenant', true)) IN (tenant_id, '*'));
