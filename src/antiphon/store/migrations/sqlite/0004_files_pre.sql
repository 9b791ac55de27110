-- Files of callers, in the order in which they became whole. Their bytes are blobs, outside of the database.
CREATE TABLE files (
    seq INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    filename TEXT NOT NULL,
    purpose TEXT NOT NULL,
    media_type TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,  -- seconds of unix time; NULL: it is kept until it is deleted
    UNIQUE (tenant, id)
);
CREATE INDEX files_order ON files (tenant, seq);
CREATE INDEX files_expiry ON files (expires_at) WHERE expires_at IS NOT NULL;

-- Files that come in parts. `bytes` is what was announced, `file_seconds` how long the file is kept.
CREATE TABLE uploads (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    filename TEXT NOT NULL,
    purpose TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    file_seconds INTEGER,
    status TEXT NOT NULL,  -- pending, completed, cancelled or expired
    PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE INDEX uploads_expiry ON uploads (expires_at);

CREATE TABLE upload_parts (
    tenant TEXT NOT NULL,
    upload TEXT NOT NULL,
    id TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (tenant, upload, id)
) WITHOUT ROWID;

-- Blobs that must go; a key that ends with a slash stands for all that begin with it. One that is being written has its
-- row here first, due when its writer must have given up, and loses it in the transaction that adds what it belongs to.
CREATE TABLE erasures (
    key TEXT PRIMARY KEY,
    due_at INTEGER NOT NULL  -- seconds of unix time
) WITHOUT ROWID;
CREATE INDEX erasures_due ON erasures (due_at);

ALTER TABLE responses ADD COLUMN has_blobs INTEGER NOT NULL DEFAULT 0;  -- 1: blobs go with it
