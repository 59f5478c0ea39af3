-- Folders are watched: a source that was polled is a stream from now on, from where it was.
UPDATE sources SET shape = 'stream' WHERE type = 'file';
