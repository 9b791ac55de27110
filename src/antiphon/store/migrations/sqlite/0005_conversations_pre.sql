-- A conversation points at the last of its items, as a response does, and does not expire. `omissions` counts the
-- deletions of items from it. `holder` is the response that is written into it, and nobody else appends meanwhile;
-- `held_at` is when it last said so, in seconds of unix time.
CREATE TABLE conversations (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given again, as responses know it by this
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    lineage INTEGER NOT NULL REFERENCES lineages (id),
    tip INTEGER NOT NULL,
    omissions INTEGER NOT NULL DEFAULT 0,
    holder TEXT,
    held_at INTEGER,
    UNIQUE (tenant, id)
);
CREATE INDEX conversations_lineage ON conversations (lineage, tip);
CREATE INDEX conversations_holder ON conversations (holder) WHERE holder IS NOT NULL;

-- What a response stands in: conversations.seq. Items that a caller adds to a conversation have a tombstone from the
-- start. `omissions` is how many deletions were known when it was saved: items that they took are not in its context.
ALTER TABLE responses ADD COLUMN conversation INTEGER;
ALTER TABLE responses ADD COLUMN omissions INTEGER NOT NULL DEFAULT 0;

-- The number of the deletion that took an item from its conversation; NULL: it is in it. A lineage is of one
-- conversation at most. Whoever knew fewer deletions keeps the item.
ALTER TABLE items ADD COLUMN omitted INTEGER;
