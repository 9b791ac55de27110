-- What nodes hold of limits of what goes on at once. A node that has given no sign of life until its time is buried, and
-- its seats with it. `number` rises with what a node tells.
CREATE TABLE seat_nodes (
    node TEXT COLLATE "C" PRIMARY KEY,
    until BIGINT NOT NULL  -- milliseconds of unix time, as the others
) WITH (fillfactor = 50);
CREATE TABLE seats (
    name TEXT COLLATE "C" NOT NULL,
    node TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    held BIGINT NOT NULL,
    told_at BIGINT NOT NULL,
    refused_at BIGINT NOT NULL,  -- when there was no seat for it last; 0: never
    PRIMARY KEY (name, node)
) WITH (fillfactor = 50);
CREATE INDEX seats_node ON seats (node);
CREATE INDEX seats_empty ON seats (told_at) WHERE held = 0;
