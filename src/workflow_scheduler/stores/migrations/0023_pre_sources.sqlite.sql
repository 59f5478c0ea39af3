-- What polled and streaming triggers hear with: who holds a source, how far it has read, and how it does.
-- `next_at` is when anybody may take it, NULL while it is held (`owner`) or not needed.
CREATE TABLE sources (
  tenant_id TEXT NOT NULL, type TEXT NOT NULL, key TEXT NOT NULL,
  shape TEXT NOT NULL CHECK (shape IN ('poll', 'stream')), revision INTEGER NOT NULL DEFAULT 1,
  next_at INTEGER, owner TEXT, fence INTEGER NOT NULL DEFAULT 0, cursor BLOB, status TEXT NOT NULL DEFAULT 'new',
  connected_at INTEGER, alive_at INTEGER, event_at INTEGER, lag INTEGER, expires_at INTEGER,
  error_code TEXT, error TEXT, remedy TEXT, error_at INTEGER, failures INTEGER NOT NULL DEFAULT 0,
  down_since INTEGER, told_down INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, type, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX sources_due ON sources (shape, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX sources_owner ON sources (owner) WHERE owner IS NOT NULL;

ALTER TABLE trigger_index ADD COLUMN source_key TEXT;
CREATE INDEX trigger_index_source ON trigger_index (tenant_id, trigger_subtype, source_key)
  WHERE source_key IS NOT NULL;
