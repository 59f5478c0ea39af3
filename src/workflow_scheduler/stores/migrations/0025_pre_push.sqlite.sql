-- A secret that is being rotated: its value before, still taken until then.
ALTER TABLE secrets ADD COLUMN previous BLOB;
ALTER TABLE secrets ADD COLUMN previous_until INTEGER;

-- Signed requests that could be sent again under another identity.
CREATE TABLE replay_guards (
  tenant_id TEXT NOT NULL, key TEXT NOT NULL, identity TEXT NOT NULL, expires_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX replay_guards_expiry ON replay_guards (tenant_id, expires_at);

-- Accounts in which a GitHub App is installed.
CREATE TABLE github_installations (
  tenant_id TEXT NOT NULL, installation_id TEXT NOT NULL, account TEXT NOT NULL, account_type TEXT NOT NULL,
  repository_selection TEXT NOT NULL, repositories TEXT NOT NULL, permissions TEXT NOT NULL, events TEXT NOT NULL,
  suspended_at INTEGER, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, installation_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX github_installations_account ON github_installations (tenant_id, account);

-- How far a source has looked for what it missed; `place` is its own.
CREATE TABLE healed_sources (
  tenant_id TEXT NOT NULL, source TEXT NOT NULL, place TEXT NOT NULL, updated_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, source)
) STRICT, WITHOUT ROWID;
