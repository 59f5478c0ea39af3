-- A secret that is being rotated: its value before, still taken until then.
ALTER TABLE secrets ADD COLUMN previous BYTEA;
ALTER TABLE secrets ADD COLUMN previous_until BIGINT;

-- Signed requests that could be sent again under another identity.
CREATE TABLE replay_guards (
  tenant_id TEXT COLLATE "C" NOT NULL, key TEXT COLLATE "C" NOT NULL, identity TEXT COLLATE "C" NOT NULL, expires_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, key)
);
CREATE INDEX replay_guards_expiry ON replay_guards (tenant_id, expires_at);

-- Accounts in which a GitHub App is installed.
CREATE TABLE github_installations (
  tenant_id TEXT COLLATE "C" NOT NULL, installation_id TEXT COLLATE "C" NOT NULL, account TEXT COLLATE "C" NOT NULL, account_type TEXT COLLATE "C" NOT NULL,
  repository_selection TEXT COLLATE "C" NOT NULL, repositories TEXT COLLATE "C" NOT NULL, permissions TEXT COLLATE "C" NOT NULL, events TEXT COLLATE "C" NOT NULL,
  suspended_at BIGINT, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, installation_id)
);
CREATE INDEX github_installations_account ON github_installations (tenant_id, account);

-- How far a source has looked for what it missed; `place` is its own.
CREATE TABLE healed_sources (
  tenant_id TEXT COLLATE "C" NOT NULL, source TEXT COLLATE "C" NOT NULL, place TEXT COLLATE "C" NOT NULL, updated_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, source)
);
ALTER TABLE replay_guards ENABLE ROW LEVEL SECURITY;
ALTER TABLE replay_guards FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON replay_guards USING ((SELECT current_setting('wfs.tenant', true)) IN (tenant_id, '*'));
ALTER TABLE github_installations ENABLE ROW LEVEL SECURITY;
ALTER TABLE github_installations FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON github_installations USING ((SELECT current_setting('wfs.tenant', true)) IN (tenant_id, '*'));
ALTER TABLE healed_sources ENABLE ROW LEVEL SECURITY;
ALTER TABLE healed_sources FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON healed_sources USING ((SELECT current_setting('wfs.tenant', true)) IN (tenant_id, '*'));
