-- Times of a schedule that somebody skips: a JSON array of nominal instants, microseconds UTC, in order.
ALTER TABLE schedules ADD COLUMN skips TEXT COLLATE "C" NOT NULL DEFAULT '[]';
