-- When a push trigger last refused a request, and why: nothing else remembers what never became an event.
ALTER TABLE trigger_index ADD COLUMN refused_at INTEGER;
ALTER TABLE trigger_index ADD COLUMN refused_why TEXT;
