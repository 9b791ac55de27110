-- What nodes have taken of limits by the minute, by slots of ten seconds of the database's clock. Whoever takes holds
-- the row of slot -1 until it is done. What a node has not used it gives back to its slot.
CREATE TABLE quotas (
    name TEXT COLLATE "C" NOT NULL,
    slot BIGINT NOT NULL,
    taken BIGINT NOT NULL,
    PRIMARY KEY (name, slot)
) WITH (fillfactor = 50);
CREATE INDEX quotas_slot ON quotas (slot);

-- The limit of background runs that a job counts for, until it has ended; NULL: none.
ALTER TABLE jobs ADD COLUMN quota TEXT COLLATE "C";
CREATE INDEX jobs_quota ON jobs (quota) WHERE quota IS NOT NULL AND state <> 'ended';

-- To add up what a tenant keeps without looking at the files.
CREATE INDEX files_bytes ON files (tenant, bytes);
