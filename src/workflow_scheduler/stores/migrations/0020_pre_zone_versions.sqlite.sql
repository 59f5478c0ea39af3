-- Schedules by the version of the time zone data that their next time was computed with: a start finds the old ones.
CREATE INDEX schedules_tzdata ON schedules (tzdata);
