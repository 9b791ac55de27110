-- What was used: tokens and pictures of a day (UTC, counted from 1970), of a tenant, a deployment and an outcome. It is
-- not tied to responses: what they took stays when they are erased. What is estimated is not among what was counted.
CREATE TABLE usage (
    day BIGINT NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    deployment TEXT COLLATE "C" NOT NULL,
    outcome TEXT COLLATE "C" NOT NULL,
    slot BIGINT NOT NULL,  -- of the connection that adds, so that few wait for each other
    requests BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    cached_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    reasoning_tokens BIGINT NOT NULL,
    estimated_input BIGINT NOT NULL,
    estimated_output BIGINT NOT NULL,
    pictures BIGINT NOT NULL,
    picture_tokens BIGINT NOT NULL,
    PRIMARY KEY (day, tenant, deployment, outcome, slot)
) WITH (fillfactor = 50);

-- The last batch that each process added to it of what has no row of its own: to write it again changes nothing.
CREATE TABLE usage_batches (
    node TEXT COLLATE "C" PRIMARY KEY,
    last BIGINT NOT NULL,
    written_at BIGINT NOT NULL  -- milliseconds of unix time
);

-- What a job is counted under when it ends, whoever ends it, and how many tokens its model reads at first, estimated.
-- One of an older version has no deployment.
ALTER TABLE jobs ADD COLUMN tenant TEXT COLLATE "C";
ALTER TABLE jobs ADD COLUMN deployment TEXT COLLATE "C";
ALTER TABLE jobs ADD COLUMN asked BIGINT NOT NULL DEFAULT 0;
