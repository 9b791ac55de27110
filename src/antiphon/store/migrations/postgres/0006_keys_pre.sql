-- Keys that an operator made: of the key itself the SHA-256 digest in hexadecimal digits, and its beginning, to be shown.
-- Times are milliseconds of unix time. A key that was revoked stays, so that it can be told whose it was.
CREATE TABLE api_keys (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    digest TEXT COLLATE "C" NOT NULL UNIQUE,
    shown TEXT NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    last_used_at BIGINT
);
