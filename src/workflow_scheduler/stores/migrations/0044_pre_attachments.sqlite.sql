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
