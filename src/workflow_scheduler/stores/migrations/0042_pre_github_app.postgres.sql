-- Where the GitHub App is installed; the table before was never written. `tenant_id` is whose it is, NULL nobody's yet;
-- `said_at` is GitHub's own time of the newest news. Tokens are kept in memory only, here is when the newest one ends.
DROP TABLE github_installations;
CREATE TABLE github_installations (
  id TEXT COLLATE "C" PRIMARY KEY, tenant_id TEXT COLLATE "C", user_id TEXT COLLATE "C",
  installation_id BIGINT NOT NULL,
  account_id BIGINT NOT NULL, account_login TEXT COLLATE "C" NOT NULL, account_type TEXT COLLATE "C" NOT NULL,
  repository_selection TEXT COLLATE "C" NOT NULL, repositories TEXT COLLATE "C" NOT NULL,
  permissions TEXT COLLATE "C" NOT NULL,
  suspended_at BIGINT, said_at BIGINT NOT NULL, access_token_expires_at BIGINT,
  created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX github_installations_number ON github_installations (installation_id);
CREATE INDEX github_installations_tenant ON github_installations (tenant_id, installation_id);
CREATE INDEX idx_github_installations_user ON github_installations (user_id);
ALTER TABLE github_installations ENABLE ROW LEVEL SECURITY;
ALTER TABLE github_installations FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON github_installations USING ((SELECT current_setting('wfs.tenant', true)) IN (tenant_id, '*'));
