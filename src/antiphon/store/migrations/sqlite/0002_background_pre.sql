-- A response that runs in the background has a job beside it: who works on it, and how far its log has come. `epoch`
-- rises each time the job changes hands, and what is written under an older one is refused. `parts` counts the rows of
-- the log, so that each is written once and none is missing. `sealed` is what only the run may know, erased at its end.
CREATE TABLE jobs (
    response INTEGER PRIMARY KEY,  -- responses.seq
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'ended')),
    epoch INTEGER NOT NULL DEFAULT 0,
    owner TEXT,  -- the process that works on it, while it is running
    attempt INTEGER NOT NULL DEFAULT 0,
    parts INTEGER NOT NULL DEFAULT 0,
    ended_at INTEGER,  -- milliseconds of unix time
    sealed TEXT
);
CREATE INDEX jobs_queued ON jobs (response) WHERE state = 'queued';
CREATE INDEX jobs_running ON jobs (response) WHERE state = 'running';
CREATE INDEX jobs_ended ON jobs (ended_at) WHERE state = 'ended';

-- The log of a background response: the events `first` to `last` and what a successor of its worker must know. A row
-- without events has the `last` of the row before it.
CREATE TABLE events (
    response INTEGER NOT NULL,
    last INTEGER NOT NULL,
    part INTEGER NOT NULL,
    first INTEGER NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (response, last, part)
) WITHOUT ROWID;

-- The processes that work on jobs, each with the time of its last sign of life in milliseconds of unix time.
CREATE TABLE nodes (
    boot TEXT PRIMARY KEY,
    beat INTEGER NOT NULL
) WITHOUT ROWID;

-- Work that one process at a time shall do, and until when it is taken.
CREATE TABLE chores (
    name TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    until INTEGER NOT NULL
) WITHOUT ROWID;

-- The key that seals secrets where the configuration names none.
CREATE TABLE sealing_keys (
    name TEXT PRIMARY KEY,
    secret TEXT NOT NULL
) WITHOUT ROWID;

-- A number of a response is never given again, not even that of the last row once it is erased: who reads a log knows it
-- by its number alone.
CREATE TABLE numbers (last INTEGER NOT NULL);
INSERT INTO numbers (last) VALUES (0);
CREATE TRIGGER responses_erased AFTER DELETE ON responses BEGIN
    UPDATE numbers SET last = max(last, OLD.seq);
END;
