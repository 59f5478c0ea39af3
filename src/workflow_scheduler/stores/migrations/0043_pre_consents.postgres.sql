-- A token belongs to the connection that it was given to; `renewing_until` is the lease of the instance that renews it.
ALTER TABLE oauth_tokens ADD COLUMN connection TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE oauth_tokens ADD COLUMN renewing_until BIGINT NOT NULL DEFAULT 0;
DROP INDEX oauth_tokens_account;
CREATE UNIQUE INDEX oauth_tokens_connection ON oauth_tokens (tenant_id, connection);

-- Consents that were asked for and not answered yet. `digest` is that of the state, `sealed` holds the PKCE verifier.
CREATE TABLE consents (
  tenant_id TEXT COLLATE "C" NOT NULL, digest TEXT COLLATE "C" NOT NULL, user_id TEXT COLLATE "C" NOT NULL,
  provider TEXT COLLATE "C" NOT NULL, connection TEXT COLLATE "C" NOT NULL, scopes TEXT COLLATE "C" NOT NULL,
  redirect_uri TEXT COLLATE "C" NOT NULL, return_to TEXT COLLATE "C" NOT NULL, sealed BYTEA NOT NULL,
  created_at BIGINT NOT NULL, expires_at BIGINT NOT NULL,
  PRIMARY KEY (digest)
);
CREATE INDEX consents_expiry ON consents (expires_at);
ALTER TABLE consents ENABLE ROW LEVEL SECURITY;
ALTER TABLE consents FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON consents USING ((SELECT current_setting('wfs.tenant', true)) IN (tenant_id, '*'));
