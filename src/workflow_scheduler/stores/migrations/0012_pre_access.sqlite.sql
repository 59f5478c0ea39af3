-- Facts that wait to become events: written with the change that they tell of, removed once they are accepted.
CREATE TABLE outbox (
  tenant_id TEXT NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL, source TEXT NOT NULL, subject TEXT,
  data BLOB NOT NULL, at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, id)
) STRICT;

-- The people of a tenant. A row outlives its removal, so that tokens of that person are refused.
CREATE TABLE members (
  tenant_id TEXT NOT NULL, user_id TEXT NOT NULL, role TEXT NOT NULL CHECK (role IN ('owner', 'editor', 'viewer')),
  name TEXT, email TEXT, created_at INTEGER NOT NULL, created_by TEXT NOT NULL, updated_at INTEGER NOT NULL,
  removed_at INTEGER,
  PRIMARY KEY (tenant_id, user_id)
) STRICT, WITHOUT ROWID;

-- Who asked for which change. The row is there before the work begins; without a status nobody knows how it ended.
CREATE TABLE audit (
  tenant_id TEXT NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL, user_id TEXT NOT NULL, role TEXT NOT NULL,
  authentication TEXT NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL, status INTEGER,
  PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_user ON audit (tenant_id, user_id, id);
