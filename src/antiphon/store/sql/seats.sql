-- Seats: what nodes hold of limits of what goes on at once. Whoever changes what he holds keeps the row of his node until
-- he is done, and then that of the limit; whoever buries nodes passes over those whose row is kept. So nobody waits in a
-- circle, and a node that is buried has no seats.

-- enter_seats --
INSERT INTO seat_nodes (node, until) VALUES (:node, /*now*/ + :lease);

-- beat_seats --
UPDATE seat_nodes SET until = /*now*/ + :lease WHERE node = :node RETURNING node;

-- alive (sqlite) --
SELECT node FROM seat_nodes WHERE node = :node;

-- alive (postgres) --
SELECT node FROM seat_nodes WHERE node = :node FOR KEY SHARE;

-- silent_nodes --
-- Whoever looks for them is not one of them.
SELECT node FROM seat_nodes WHERE until <= /*now*/ AND node <> :node /*lock*/;

-- bury_seats --
DELETE FROM seats WHERE node = :node;

-- bury_node --
DELETE FROM seat_nodes WHERE node = :node;

-- seats_of --
SELECT node, held, refused_at FROM seats WHERE name = :name;

-- tell_seats --
-- What was asked before and comes later changes nothing.
INSERT INTO seats (name, node, number, held, told_at, refused_at)
VALUES (:name, :node, :number, :held, :told_at, :refused_at)
ON CONFLICT (name, node) DO UPDATE SET
    number = excluded.number,
    held = excluded.held,
    told_at = excluded.told_at,
    refused_at = CASE WHEN excluded.refused_at > 0 THEN excluded.refused_at ELSE seats.refused_at END
WHERE seats.number < excluded.number;

-- scarce_seats --
SELECT DISTINCT own.name
FROM seats AS own JOIN seats AS other ON other.name = own.name AND other.node <> own.node
WHERE own.node = :node AND own.held > 0 AND other.refused_at > /*now*/ - :age;

-- forget_seats --
DELETE FROM seats WHERE held = 0 AND told_at < /*now*/ - :age;
