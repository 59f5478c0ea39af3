-- Files that came with events: what is known of each, and its content in parts. They are written before their event.
CREATE TABLE attachments (
  tenant_id TEXT NOT NULL, event_id TEXT NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL,
  content_type TEXT NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL,
  PRIMARY KEY (tenant_id, event_id, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE attachment_parts (
  tenant_id TEXT NOT NULL, event_id TEXT NOT NULL, number INTEGER NOT NULL, part INTEGER NOT NULL,
  content BLOB NOT NULL,
  PRIMARY KEY (tenant_id, event_id, number, part)
) STRICT;
-- Which notice of the end of credentials was told last: the instant at which it fell due.
ALTER TABLE connections ADD COLUMN told_expiry INTEGER;
ALTER TABLE sources ADD COLUMN told_expiry INTEGER;
-- What a peer said of its end; `expires_at` is that of the connection where it ends sooner.
ALTER TABLE sources ADD COLUMN credentials_end INTEGER;
CREATE INDEX connections_expiry ON connections (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX sources_expiry ON sources (credentials_end) WHERE credentials_end IS NOT NULL;
