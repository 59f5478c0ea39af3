-- Where the GitHub App is installed; the table before was never written. `tenant_id` is whose it is, NULL nobody's yet;
-- `said_at` is GitHub's own time of the newest news. Tokens are kept in memory only, here is when the newest one ends.
DROP TABLE github_installations;
CREATE TABLE github_installations (
  id TEXT PRIMARY KEY, tenant_id TEXT, user_id TEXT, installation_id INTEGER NOT NULL,
  account_id INTEGER NOT NULL, account_login TEXT NOT NULL, account_type TEXT NOT NULL,
  repository_selection TEXT NOT NULL, repositories TEXT NOT NULL, permissions TEXT NOT NULL,
  suspended_at INTEGER, said_at INTEGER NOT NULL, access_token_expires_at INTEGER,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX github_installations_number ON github_installations (installation_id);
CREATE INDEX github_installations_tenant ON github_installations (tenant_id, installation_id);
CREATE INDEX idx_github_installations_user ON github_installations (user_id);
