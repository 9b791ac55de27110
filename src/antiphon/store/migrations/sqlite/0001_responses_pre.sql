-- A lineage is a line of turns, each appended after the last one. A second child of a turn begins a lineage of its own,
-- with a pointer to where it left its parent. `tip` is the position of the last item.
CREATE TABLE lineages (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    parent INTEGER REFERENCES lineages (id),
    parent_tip INTEGER,
    tip INTEGER NOT NULL,
    stale INTEGER NOT NULL DEFAULT 0  -- 1: something in it died, and the sweep shall look what is still needed
);
CREATE INDEX lineages_parent ON lineages (parent, parent_tip) WHERE parent IS NOT NULL;
CREATE INDEX lineages_stale ON lineages (id) WHERE stale = 1;

-- A response's own items end at `tip`, the inputs among them at `input_tip`. The order of `seq` is the order of saving.
CREATE TABLE responses (
    seq INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    previous_id TEXT,
    lineage INTEGER NOT NULL REFERENCES lineages (id),
    input_tip INTEGER NOT NULL,
    tip INTEGER NOT NULL,
    status TEXT NOT NULL,
    model TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    response TEXT,  -- NULL: a tombstone, kept as long as something that lives was built on it
    UNIQUE (tenant, id)
);
CREATE INDEX responses_lineage ON responses (lineage, tip);
CREATE INDEX responses_expiry ON responses (expires_at) WHERE response IS NOT NULL;

-- Items belong to the lineage, so they outlive the response that brought them. `response` is that response's `seq`; it
-- is no foreign key, as checking it at each erasure would take one more index.
CREATE TABLE items (
    lineage INTEGER NOT NULL REFERENCES lineages (id),
    pos INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    response INTEGER NOT NULL,
    output TEXT,
    data TEXT NOT NULL,
    PRIMARY KEY (lineage, pos)
) WITHOUT ROWID;
CREATE INDEX items_id ON items (tenant, id, response);
