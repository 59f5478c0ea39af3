-- What polled and streaming triggers hear with: who holds a source, how far it has read, and how it does.
-- `next_at` is when anybody may take it, NULL while it is held (`owner`) or not needed.
CREATE TABLE sources (
  tenant_id TEXT COLLATE "C" NOT NULL, type TEXT COLLATE "C" NOT NULL, key TEXT COLLATE "C" NOT NULL,
  shape TEXT COLLATE "C" NOT NULL CHECK (shape IN ('poll', 'stream')), revision BIGINT NOT NULL DEFAULT 1,
  next_at BIGINT, owner TEXT COLLATE "C", fence BIGINT NOT NULL DEFAULT 0, cursor BYTEA,
  status TEXT COLLATE "C" NOT NULL DEFAULT 'new',
  connected_at BIGINT, alive_at BIGINT, event_at BIGINT, lag BIGINT, expires_at BIGINT,
  error_code TEXT COLLATE "C", error TEXT COLLATE "C", remedy TEXT COLLATE "C", error_at BIGINT,
  failures BIGINT NOT NULL DEFAULT 0, down_since BIGINT, told_down SMALLINT NOT NULL DEFAULT 0,
  created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, type, key)
);
CREATE INDEX sources_due ON sources (shape, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX sources_owner ON sources (owner) WHERE owner IS NOT NULL;
ALTER TABLE sources ENABLE ROW LEVEL SECURITY;
ALTER TABLE sources FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON sources USING ((SELECT current_setting('wfs.tenant', true)) IN (tenant_id, '*'));

ALTER TABLE trigger_index ADD COLUMN source_key TEXT COLLATE "C";
CREATE INDEX trigger_index_source ON trigger_index (tenant_id, trigger_subtype, source_key)
  WHERE source_key IS NOT NULL;
