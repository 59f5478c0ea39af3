-- A run that rests has the owner `parked` and no instance; it is taken up again at `wake_at`, or when it is told something.
ALTER TABLE runs ADD COLUMN wake_at BIGINT;
CREATE INDEX runs_parked ON runs (wake_at) WHERE owner = 'parked' AND status = 'PAUSED';
-- A rerun names the run that it repeats, and each result it keeps the run in which that job was executed.
ALTER TABLE runs ADD COLUMN rerun_of TEXT COLLATE "C";
ALTER TABLE jobs ADD COLUMN reused_from TEXT COLLATE "C";
