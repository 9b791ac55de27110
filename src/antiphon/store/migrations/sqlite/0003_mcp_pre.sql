-- Requests for a person's approval that were answered, each by one response: an approval is good for one run.
CREATE TABLE approvals (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    response TEXT NOT NULL,  -- the id of the response that it was spent for
    decided_at INTEGER NOT NULL,  -- milliseconds of unix time
    expires_at INTEGER NOT NULL,  -- seconds of unix time
    PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE INDEX approvals_expiry ON approvals (expires_at);

-- What was shared with servers of others, written before it is sent. A number is never given again, so that the end of an
-- exchange whose row was erased is nobody else's. Times are milliseconds of unix time. The longest column stands last:
-- a row is passed over without reading it.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    begun_at INTEGER NOT NULL,
    ended_at INTEGER,  -- NULL: it goes on, or its process is gone
    tenant TEXT NOT NULL,
    response TEXT NOT NULL,
    server_label TEXT NOT NULL,
    server_url TEXT NOT NULL,
    tool TEXT,  -- NULL: its tools were listed
    approval_request_id TEXT,
    outcome TEXT,
    arguments TEXT
);
CREATE INDEX audit_begun ON audit (begun_at);
CREATE INDEX audit_response ON audit (response);
