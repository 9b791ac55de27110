-- What was used: tokens and pictures of a day (UTC, counted from 1970), of a tenant, a deployment and an outcome. It is
-- not tied to responses: what they took stays when they are erased. What is estimated is not among what was counted.
CREATE TABLE usage (
    day INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    deployment TEXT NOT NULL,
    outcome TEXT NOT NULL,
    slot INTEGER NOT NULL,  -- always 0: there is one writer
    requests INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    estimated_input INTEGER NOT NULL,
    estimated_output INTEGER NOT NULL,
    pictures INTEGER NOT NULL,
    picture_tokens INTEGER NOT NULL,
    PRIMARY KEY (day, tenant, deployment, outcome, slot)
) WITHOUT ROWID;

-- The last batch that each process added to it of what has no row of its own: to write it again changes nothing.
CREATE TABLE usage_batches (
    node TEXT PRIMARY KEY,
    last INTEGER NOT NULL,
    written_at INTEGER NOT NULL  -- milliseconds of unix time
) WITHOUT ROWID;

-- What a job is counted under when it ends, whoever ends it, and how many tokens its model reads at first, estimated.
-- One of an older version has no deployment.
ALTER TABLE jobs ADD COLUMN tenant TEXT;
ALTER TABLE jobs ADD COLUMN deployment TEXT;
ALTER TABLE jobs ADD COLUMN asked INTEGER NOT NULL DEFAULT 0;
