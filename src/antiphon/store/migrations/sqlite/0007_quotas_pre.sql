-- What nodes have taken of limits by the minute, by slots of ten seconds of the database's clock. Whoever takes holds
-- the row of slot -1 until it is done. What a node has not used it gives back to its slot.
CREATE TABLE quotas (
    name TEXT NOT NULL,
    slot INTEGER NOT NULL,
    taken INTEGER NOT NULL,
    PRIMARY KEY (name, slot)
) WITHOUT ROWID;
CREATE INDEX quotas_slot ON quotas (slot);

-- The limit of background runs that a job counts for, until it has ended; NULL: none.
ALTER TABLE jobs ADD COLUMN quota TEXT;
CREATE INDEX jobs_quota ON jobs (quota) WHERE quota IS NOT NULL AND state <> 'ended';

-- To add up what a tenant keeps without looking at the files.
CREATE INDEX files_bytes ON files (tenant, bytes);
