-- What was used: a row for each day, tenant, deployment and outcome, and slot. What is added to a row waits for whoever
-- added to it before and has not committed; so a connection of PostgreSQL has a slot, which it shares with few others.

-- _charges (sqlite) --
SELECT
    value ->> 0, value ->> 1, value ->> 2, value ->> 3, 0, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
    value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12
FROM json_each(:charges) WHERE TRUE  -- else SQLite takes the conflict that follows for a join's condition

-- _charges (postgres) --
SELECT
    CAST(value ->> 0 AS BIGINT), value ->> 1, value ->> 2, value ->> 3, pg_backend_pid() % 32,
    CAST(value ->> 4 AS BIGINT), CAST(value ->> 5 AS BIGINT), CAST(value ->> 6 AS BIGINT),
    CAST(value ->> 7 AS BIGINT), CAST(value ->> 8 AS BIGINT), CAST(value ->> 9 AS BIGINT),
    CAST(value ->> 10 AS BIGINT), CAST(value ->> 11 AS BIGINT), CAST(value ->> 12 AS BIGINT)
FROM json_array_elements(CAST(:charges AS JSON))

-- _add_usage --
INSERT INTO usage (
    day, tenant, deployment, outcome, slot, requests, input_tokens, cached_tokens, output_tokens, reasoning_tokens,
    estimated_input, estimated_output, pictures, picture_tokens
)
/*_charges*/
ON CONFLICT (day, tenant, deployment, outcome, slot) DO UPDATE SET
    requests = usage.requests + excluded.requests,
    input_tokens = usage.input_tokens + excluded.input_tokens,
    cached_tokens = usage.cached_tokens + excluded.cached_tokens,
    output_tokens = usage.output_tokens + excluded.output_tokens,
    reasoning_tokens = usage.reasoning_tokens + excluded.reasoning_tokens,
    estimated_input = usage.estimated_input + excluded.estimated_input,
    estimated_output = usage.estimated_output + excluded.estimated_output,
    pictures = usage.pictures + excluded.pictures,
    picture_tokens = usage.picture_tokens + excluded.picture_tokens

-- add_usage --
/*_add_usage*/;

-- mark_batch --
-- It writes nothing where this batch was written before.
INSERT INTO usage_batches (node, last, written_at) VALUES (:node, :number, /*now*/)
ON CONFLICT (node) DO UPDATE SET last = excluded.last, written_at = excluded.written_at
WHERE usage_batches.last < excluded.last
RETURNING node;

-- erase_old_batches --
DELETE FROM usage_batches WHERE written_at < /*now*/ - :age;

-- used --
SELECT
    day, tenant, deployment, outcome,
    CAST(sum(requests) AS BIGINT) AS requests,
    CAST(sum(input_tokens) AS BIGINT) AS input_tokens,
    CAST(sum(cached_tokens) AS BIGINT) AS cached_tokens,
    CAST(sum(output_tokens) AS BIGINT) AS output_tokens,
    CAST(sum(reasoning_tokens) AS BIGINT) AS reasoning_tokens,
    CAST(sum(estimated_input) AS BIGINT) AS estimated_input,
    CAST(sum(estimated_output) AS BIGINT) AS estimated_output,
    CAST(sum(pictures) AS BIGINT) AS pictures,
    CAST(sum(picture_tokens) AS BIGINT) AS picture_tokens
FROM usage
WHERE day >= :since AND day < :until
AND (CAST(:tenant AS TEXT) IS NULL OR tenant = :tenant)
AND (CAST(:deployment AS TEXT) IS NULL OR deployment = :deployment)
GROUP BY day, tenant, deployment, outcome
ORDER BY day, tenant, deployment, outcome;
