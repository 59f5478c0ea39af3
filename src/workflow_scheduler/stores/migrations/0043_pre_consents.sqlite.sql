-- A token belongs to the connection that it was given to; `renewing_until` is the lease of the instance that renews it.
ALTER TABLE oauth_tokens ADD COLUMN connection TEXT NOT NULL DEFAULT '';
ALTER TABLE oauth_tokens ADD COLUMN renewing_until INTEGER NOT NULL DEFAULT 0;
DROP INDEX oauth_tokens_account;
CREATE UNIQUE INDEX oauth_tokens_connection ON oauth_tokens (tenant_id, connection);

-- Consents that were asked for and not answered yet. `digest` is that of the state, `sealed` holds the PKCE verifier.
CREATE TABLE consents (
  tenant_id TEXT NOT NULL, digest TEXT NOT NULL, user_id TEXT NOT NULL, provider TEXT NOT NULL,
  connection TEXT NOT NULL, scopes TEXT NOT NULL, redirect_uri TEXT NOT NULL, return_to TEXT NOT NULL,
  sealed BLOB NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
  PRIMARY KEY (digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX consents_expiry ON consents (expires_at);
