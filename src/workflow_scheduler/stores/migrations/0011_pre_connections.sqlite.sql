-- Named credentials of a tenant. `fields` is JSON of what may be shown, `sealed` of what may not.
CREATE TABLE connections (
  tenant_id TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL, fields TEXT NOT NULL, sealed BLOB NOT NULL,
  revision INTEGER NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, updated_by TEXT,
  rotated_at INTEGER, expires_at INTEGER, tested_at INTEGER, test_ok INTEGER, test_detail TEXT,
  PRIMARY KEY (tenant_id, name)
) STRICT, WITHOUT ROWID;

-- What providers give out after a log-in: `sealed` holds access and refresh token, `scopes` and `account` are shown.
CREATE TABLE oauth_tokens (
  tenant_id TEXT NOT NULL, id TEXT NOT NULL, user_id TEXT NOT NULL, provider TEXT NOT NULL, account TEXT NOT NULL,
  scopes TEXT NOT NULL DEFAULT '', sealed BLOB NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
  expires_at INTEGER,
  PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX oauth_tokens_account ON oauth_tokens (tenant_id, provider, user_id, account);
