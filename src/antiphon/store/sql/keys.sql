-- Keys that callers have: their digests, whose they are, and how long they open.

-- add_key --
INSERT INTO api_keys (id, digest, shown, tenant, name, created_at, expires_at)
VALUES (:id, :digest, :shown, :tenant, :name, /*now*/, CAST(:life AS BIGINT) + /*now*/)
RETURNING id;

-- find_key --
SELECT
    id, tenant,
    CASE WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN expires_at <= /*now*/ THEN 'expired' ELSE 'good' END,
    CASE WHEN coalesce(last_used_at, 0) <= /*now*/ - CAST(:pause AS BIGINT) THEN 1 ELSE 0 END
FROM api_keys WHERE digest = :digest;

-- touch_key --
UPDATE api_keys SET last_used_at = /*now*/
WHERE id = :id AND coalesce(last_used_at, 0) <= /*now*/ - CAST(:pause AS BIGINT);

-- all_keys --
SELECT
    id, tenant,
    CASE WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN expires_at <= /*now*/ THEN 'expired' ELSE 'good' END,
    name, shown, created_at, expires_at, revoked_at, last_used_at
FROM api_keys
WHERE (CAST(:tenant AS TEXT) IS NULL OR tenant = :tenant)
ORDER BY created_at, id;

-- any_good_key --
SELECT id FROM api_keys WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > /*now*/) LIMIT 1;

-- revoke_key --
UPDATE api_keys SET revoked_at = coalesce(revoked_at, /*now*/) WHERE id = :id RETURNING id;
