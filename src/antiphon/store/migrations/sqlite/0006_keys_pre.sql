-- Keys that an operator made: of the key itself the SHA-256 digest in hexadecimal digits, and its beginning, to be shown.
-- Times are milliseconds of unix time. A key that was revoked stays, so that it can be told whose it was.
CREATE TABLE api_keys (
    id TEXT NOT NULL PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    shown TEXT NOT NULL,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    last_used_at INTEGER
) WITHOUT ROWID;
