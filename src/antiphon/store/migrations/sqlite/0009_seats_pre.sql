-- What nodes hold of limits of what goes on at once. A node that has given no sign of life until its time is buried, and
-- its seats with it. `number` rises with what a node tells.
CREATE TABLE seat_nodes (
    node TEXT PRIMARY KEY,
    until INTEGER NOT NULL  -- milliseconds of unix time, as the others
) WITHOUT ROWID;
CREATE TABLE seats (
    name TEXT NOT NULL,
    node TEXT NOT NULL,
    number INTEGER NOT NULL,
    held INTEGER NOT NULL,
    told_at INTEGER NOT NULL,
    refused_at INTEGER NOT NULL,  -- when there was no seat for it last; 0: never
    PRIMARY KEY (name, node)
) WITHOUT ROWID;
CREATE INDEX seats_node ON seats (node);
CREATE INDEX seats_empty ON seats (told_at) WHERE held = 0;
