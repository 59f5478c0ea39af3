-- Named credentials of a tenant. `fields` is JSON of what may be shown, `sealed` of what may not.
CREATE TABLE connections (
  tenant_id TEXT COLLATE "C" NOT NULL, name TEXT COLLATE "C" NOT NULL, kind TEXT COLLATE "C" NOT NULL,
  fields TEXT COLLATE "C" NOT NULL, sealed BYTEA NOT NULL, revision BIGINT NOT NULL, created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL, updated_by TEXT COLLATE "C", rotated_at BIGINT, expires_at BIGINT, tested_at BIGINT,
  test_ok SMALLINT, test_detail TEXT COLLATE "C",
  PRIMARY KEY (tenant_id, name)
);

-- What providers give out after a log-in: `sealed` holds access and refresh token, `scopes` and `account` are shown.
CREATE TABLE oauth_tokens (
  tenant_id TEXT COLLATE "C" NOT NULL, id TEXT COLLATE "C" NOT NULL, user_id TEXT COLLATE "C" NOT NULL,
  provider TEXT COLLATE "C" NOT NULL, account TEXT COLLATE "C" NOT NULL, scopes TEXT COLLATE "C" NOT NULL DEFAULT '',
  sealed BYTEA NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, expires_at BIGINT,
  PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX oauth_tokens_account ON oauth_tokens (tenant_id, provider, user_id, account);

DO $$
DECLARE
  name TEXT;
BEGIN
  FOREACH name IN ARRAY ARRAY['connections', 'oauth_tokens'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format(
      'CREATE POLICY tenant ON %I USING ((SELECT current_setting(''wfs.tenant'', true)) IN (tenant_id, ''*''))', name);
  END LOOP;
END $$;
