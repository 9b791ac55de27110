-- What is kept of servers of others: which approvals were spent, and what was shared with whom.

-- spent (sqlite) --
SELECT id FROM approvals
WHERE tenant = :tenant AND id IN (SELECT value FROM json_each(:ids))
AND (CAST(:response AS TEXT) IS NULL OR response <> :response);

-- spent (postgres) --
SELECT id FROM approvals
WHERE tenant = :tenant AND id IN (
    SELECT value
    FROM json_array_elements_text(CAST(replace(:ids, '\u0000', '\ufffd') AS JSON)) AS value  -- NUL is kept as U+FFFD
)
AND (CAST(:response AS TEXT) IS NULL OR response <> :response);

-- spend --
-- It waits for another that spends the same, and writes nothing where that was for another response.
INSERT INTO approvals (tenant, id, response, decided_at, expires_at)
VALUES (:tenant, :id, :response, :decided_at, :expires_at)
ON CONFLICT (tenant, id) DO UPDATE SET response = excluded.response WHERE approvals.response = excluded.response
RETURNING id;

-- forget_approvals --
WITH due AS MATERIALIZED (
    SELECT tenant, id FROM approvals WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit /*lock*/
)
DELETE FROM approvals WHERE (tenant, id) IN (SELECT tenant, id FROM due)
RETURNING id;

-- begin_exchange --
INSERT INTO audit (begun_at, tenant, response, server_label, server_url, tool, approval_request_id, arguments)
VALUES (:begun_at, :tenant, :response, :server_label, :server_url, :tool, :approval_request_id, :arguments)
RETURNING number;

-- end_exchange --
UPDATE audit SET ended_at = :ended_at, outcome = :outcome WHERE number = :number AND outcome IS NULL;

-- exchanges --
SELECT
    number, begun_at, ended_at, outcome,
    tenant, response, server_label, server_url, tool, arguments, approval_request_id
FROM audit
WHERE number > :after AND begun_at >= :since AND begun_at < :until
AND (CAST(:tenant AS TEXT) IS NULL OR tenant = :tenant)
ORDER BY number LIMIT :limit;

-- exchanges_of_response --
SELECT
    number, begun_at, ended_at, outcome,
    tenant, response, server_label, server_url, tool, arguments, approval_request_id
FROM audit
WHERE response = :response AND number > :after AND begun_at >= :since AND begun_at < :until
AND (CAST(:tenant AS TEXT) IS NULL OR tenant = :tenant)
ORDER BY number LIMIT :limit;

-- forget_exchanges --
WITH due AS MATERIALIZED (
    SELECT number FROM audit WHERE begun_at < :before ORDER BY begun_at LIMIT :limit /*lock*/
)
DELETE FROM audit WHERE number IN (SELECT number FROM due)
RETURNING number;
