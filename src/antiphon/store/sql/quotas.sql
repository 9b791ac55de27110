-- Limits that nodes share, and what is counted for limits.

-- hold_quota --
-- One at a time takes of a quota. The clock is read once it is this one's turn.
INSERT INTO quotas (name, slot, taken) VALUES (:name, -1, 0)
ON CONFLICT (name, slot) DO UPDATE SET taken = 0
RETURNING taken;

-- quota_time --
SELECT /*now*/;

-- quota_taken --
SELECT slot, taken FROM quotas WHERE name = :name AND slot > :past;

-- add_to_quota --
INSERT INTO quotas (name, slot, taken) VALUES (:name, :slot, :more)
ON CONFLICT (name, slot) DO UPDATE SET taken = quotas.taken + excluded.taken;

-- forget_slots --
DELETE FROM quotas WHERE name = :name AND slot >= 0 AND slot <= :past;

-- forget_quotas --
-- Also of what nobody asks for any more what was held for it; whoever holds it now is waited for, and makes it anew.
DELETE FROM quotas
WHERE slot <= :past AND (
    slot >= 0 OR NOT EXISTS (SELECT 1 FROM quotas AS recent WHERE recent.name = quotas.name AND recent.slot > :past)
);

-- jobs_counted --
SELECT count(*) FROM jobs WHERE quota = :quota AND state <> 'ended';

