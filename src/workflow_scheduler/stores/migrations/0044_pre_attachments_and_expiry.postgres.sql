-- Files that came with events: what is known of each, and its content in parts. They are written before their event.
CREATE TABLE attachments (
  tenant_id TEXT COLLATE "C" NOT NULL, event_id TEXT COLLATE "C" NOT NULL, number BIGINT NOT NULL,
  name TEXT COLLATE "C" NOT NULL, content_type TEXT COLLATE "C" NOT NULL, size BIGINT NOT NULL,
  sha256 TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, event_id, number)
);
CREATE TABLE attachment_parts (
  tenant_id TEXT COLLATE "C" NOT NULL, event_id TEXT COLLATE "C" NOT NULL, number BIGINT NOT NULL,
  part BIGINT NOT NULL, content BYTEA NOT NULL,
  PRIMARY KEY (tenant_id, event_id, number, part)
);
ALTER TABLE attachment_parts ALTER COLUMN content SET STORAGE EXTERNAL;
ALTER TABLE attachments ENABLE ROW LEVEL SECURITY;
ALTER TABLE attachments FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON attachments USING ((SELECT current_setting('wfs.tenant', true)) IN (tenant_id, '*'));
ALTER TABLE attachment_parts ENABLE ROW LEVEL SECURITY;
ALTER TABLE attachment_parts FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON attachment_parts USING ((SELECT current_setting('wfs.tenant', true)) IN (tenant_id, '*'));
-- Which notice of the end of credentials was told last: the instant at which it fell due.
ALTER TABLE connections ADD COLUMN told_expiry BIGINT;
ALTER TABLE sources ADD COLUMN told_expiry BIGINT;
-- What a peer said of its end; `expires_at` is that of the connection where it ends sooner.
ALTER TABLE sources ADD COLUMN credentials_end BIGINT;
CREATE INDEX connections_expiry ON connections (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX sources_expiry ON sources (credentials_end) WHERE credentials_end IS NOT NULL;
