-- Whoever turns facts into events hears at once that there are new ones, whichever instance has stored them.
CREATE FUNCTION wfs_told() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('wfs_outbox', '');
  RETURN NULL;
END $$;
CREATE TRIGGER outbox_told AFTER INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION wfs_told();
