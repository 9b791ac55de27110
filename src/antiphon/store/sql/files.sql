-- Files, what comes in parts, and the blobs that must go.

-- add_file --
INSERT INTO files (tenant, id, filename, purpose, media_type, bytes, created_at, expires_at)
VALUES (:tenant, :id, :filename, :purpose, :media_type, :bytes, :created_at, :expires_at);

-- files_named (sqlite) --
SELECT id, tenant, filename, purpose, media_type, bytes, created_at, expires_at FROM files
WHERE tenant = :tenant AND id IN (SELECT value FROM json_each(:ids)) AND (expires_at IS NULL OR expires_at > :now);

-- files_named (postgres) --
SELECT id, tenant, filename, purpose, media_type, bytes, created_at, expires_at FROM files
WHERE tenant = :tenant AND id IN (
    SELECT value
    FROM json_array_elements_text(CAST(replace(:ids, '\u0000', '\ufffd') AS JSON)) AS value  -- NUL is kept as U+FFFD
)
AND (expires_at IS NULL OR expires_at > :now);

-- file_place --
SELECT seq FROM files WHERE tenant = :tenant AND id = :id;

-- oldest_files --
SELECT id, tenant, filename, purpose, media_type, bytes, created_at, expires_at FROM files
WHERE tenant = :tenant AND seq > :after AND (expires_at IS NULL OR expires_at > :now)
AND (CAST(:purpose AS TEXT) IS NULL OR purpose = :purpose)
ORDER BY seq LIMIT :limit;

-- newest_files --
SELECT id, tenant, filename, purpose, media_type, bytes, created_at, expires_at FROM files
WHERE tenant = :tenant AND seq < :after AND (expires_at IS NULL OR expires_at > :now)
AND (CAST(:purpose AS TEXT) IS NULL OR purpose = :purpose)
ORDER BY seq DESC LIMIT :limit;

-- delete_file --
DELETE FROM files WHERE tenant = :tenant AND id = :id RETURNING tenant, id;

-- expire_files --
WITH due AS MATERIALIZED (
    SELECT seq FROM files WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit /*lock*/
)
DELETE FROM files WHERE seq IN (SELECT seq FROM due)
RETURNING tenant, id;

-- add_upload --
INSERT INTO uploads (tenant, id, filename, purpose, bytes, created_at, expires_at, file_seconds, status)
VALUES (:tenant, :id, :filename, :purpose, :bytes, :created_at, :expires_at, :file_seconds, 'pending');

-- upload --
SELECT id, tenant, filename, purpose, bytes, created_at, expires_at, file_seconds, status FROM uploads
WHERE tenant = :tenant AND id = :id;

-- parts --
SELECT id, bytes FROM upload_parts WHERE tenant = :tenant AND upload = :id;

-- hold_pending_upload --
-- Whoever holds an upload is the only one that adds a part to it or ends it.
SELECT id FROM uploads WHERE tenant = :tenant AND id = :id AND status = 'pending' /*hold*/;

-- parts_so_far --
SELECT count(*), CAST(coalesce(sum(bytes), 0) AS BIGINT) FROM upload_parts WHERE tenant = :tenant AND upload = :id;

-- add_part --
INSERT INTO upload_parts (tenant, upload, id, bytes) VALUES (:tenant, :upload, :id, :bytes);

-- end_upload --
UPDATE uploads SET status = :status WHERE tenant = :tenant AND id = :id AND status = 'pending' RETURNING id;

-- erase_parts --
DELETE FROM upload_parts WHERE tenant = :tenant AND upload = :id;

-- expired_uploads --
SELECT tenant, id, status FROM uploads WHERE expires_at <= :now AND (status = 'pending' OR expires_at <= :forgotten)
ORDER BY expires_at LIMIT :limit /*lock*/;

-- forget_upload --
DELETE FROM uploads WHERE tenant = :tenant AND id = :id;

-- plan_erasure --
INSERT INTO erasures (key, due_at) VALUES (:key, :due_at)
ON CONFLICT (key) DO UPDATE SET due_at = excluded.due_at WHERE excluded.due_at < erasures.due_at;

-- plan_response_erasure --
-- Not where the response is there already: then its writer only was not told that it was stored.
INSERT INTO erasures (key, due_at)
SELECT CAST(:key AS TEXT), CAST(:due_at AS BIGINT)
WHERE NOT EXISTS (SELECT 1 FROM responses WHERE tenant = :tenant AND id = :id)
ON CONFLICT (key) DO UPDATE SET due_at = excluded.due_at
RETURNING key;

-- due_erasures --
SELECT key FROM erasures WHERE due_at <= :now ORDER BY due_at LIMIT :limit;

-- put_off_erasure --
UPDATE erasures SET due_at = :due_at WHERE key = :key;

-- forget_erasure --
DELETE FROM erasures WHERE key = :key RETURNING key;

-- bytes_kept --
SELECT CAST(
    (SELECT coalesce(sum(bytes), 0) FROM files WHERE tenant = :tenant)
    + (SELECT coalesce(sum(bytes), 0) FROM upload_parts WHERE tenant = :tenant) AS BIGINT
);
