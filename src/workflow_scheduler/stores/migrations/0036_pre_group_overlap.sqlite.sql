-- The overlap key of the last event of a group: the run that starts when the group's time has come has it as well.
ALTER TABLE shape_groups ADD COLUMN overlap_key TEXT;
