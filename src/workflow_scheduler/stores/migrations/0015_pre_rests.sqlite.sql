-- Who paused a schedule until a time, kept while its workflow is paused as well.
ALTER TABLE schedules ADD COLUMN rest_by TEXT;
