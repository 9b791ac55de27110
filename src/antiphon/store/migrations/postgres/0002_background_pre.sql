-- A response that runs in the background has a job beside it: who works on it, and how far its log has come. `epoch`
-- rises each time the job changes hands, and what is written under an older one is refused. `parts` counts the rows of
-- the log, so that each is written once and none is missing. `sealed` is what only the run may know, erased at its end.
-- The row is small and changes with every flush: room is left for it, so that no index has to follow.
CREATE TABLE jobs (
    response BIGINT PRIMARY KEY,  -- responses.seq
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'ended')),
    epoch BIGINT NOT NULL DEFAULT 0,
    owner TEXT,  -- the process that works on it, while it is running
    attempt BIGINT NOT NULL DEFAULT 0,
    parts BIGINT NOT NULL DEFAULT 0,
    ended_at BIGINT,  -- milliseconds of unix time
    sealed TEXT
) WITH (fillfactor = 50);
CREATE INDEX jobs_queued ON jobs (response) WHERE state = 'queued';
CREATE INDEX jobs_running ON jobs (response) WHERE state = 'running';
CREATE INDEX jobs_ended ON jobs (ended_at) WHERE state = 'ended';

-- The log of a background response: the events `first` to `last` and what a successor of its worker must know. A row
-- without events has the `last` of the row before it.
CREATE TABLE events (
    response BIGINT NOT NULL,
    last BIGINT NOT NULL,
    part BIGINT NOT NULL,
    first BIGINT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (response, last, part)
);

-- The processes that work on jobs, each with the time of its last sign of life in milliseconds of unix time.
CREATE TABLE nodes (
    boot TEXT PRIMARY KEY,
    beat BIGINT NOT NULL
);

-- Work that one process at a time shall do, and until when it is taken.
CREATE TABLE chores (
    name TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    until BIGINT NOT NULL
);

-- The key that seals secrets where the configuration names none.
CREATE TABLE sealing_keys (
    name TEXT PRIMARY KEY,
    secret TEXT NOT NULL
);
