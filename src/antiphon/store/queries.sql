-- A chain is a path of lineages. An item's position counts from the root of its chain, across lineages, so that within
-- one chain positions are unique and in order. A response whose column `response` is NULL is a tombstone.

-- response --
SELECT response FROM responses WHERE tenant = :tenant AND id = :id AND response IS NOT NULL;

-- context --
WITH RECURSIVE chain (lineage, tip) AS (
    SELECT lineage, tip FROM responses WHERE tenant = :tenant AND id = :id AND response IS NOT NULL
    UNION ALL
    SELECT lineages.parent, lineages.parent_tip
    FROM chain JOIN lineages ON lineages.id = chain.lineage
    WHERE lineages.parent IS NOT NULL
)
SELECT items.id, items.data, items.output
FROM chain LEFT JOIN items ON items.lineage = chain.lineage AND items.pos <= chain.tip AND items.tenant = :tenant
ORDER BY items.pos;

-- find_items --
SELECT items.id, items.data, items.output
FROM json_each(:ids) AS wanted JOIN items ON (items.lineage, items.pos) = (
    SELECT same.lineage, same.pos
    FROM items AS same JOIN responses ON responses.seq = same.response
    WHERE same.tenant = :tenant AND same.id = wanted.value AND responses.response IS NOT NULL
    ORDER BY same.response DESC, same.pos DESC
    LIMIT 1
);

-- input_items --
WITH RECURSIVE chain (lineage, tip) AS (
    SELECT lineage, input_tip FROM responses WHERE tenant = :tenant AND id = :id AND response IS NOT NULL
    UNION ALL
    SELECT lineages.parent, lineages.parent_tip
    FROM chain JOIN lineages ON lineages.id = chain.lineage
    WHERE lineages.parent IS NOT NULL
), listed (id, pos) AS (
    SELECT items.id, max(items.pos)
    FROM chain CROSS JOIN items  -- CROSS: the chain first, then its items, whatever the planner guesses
    WHERE items.lineage = chain.lineage AND items.pos <= chain.tip AND items.tenant = :tenant
    GROUP BY items.id
), page (pos) AS (
    SELECT pos FROM listed
    WHERE CAST(:after AS TEXT) IS NULL OR pos * :direction > (SELECT pos * :direction FROM listed WHERE id = :after)
    ORDER BY pos * :direction
    LIMIT :limit
)
SELECT items.id, items.data, items.output
FROM page CROSS JOIN chain CROSS JOIN items
WHERE items.lineage = chain.lineage AND items.pos = page.pos AND items.pos <= chain.tip
ORDER BY items.pos * :direction;

-- input_ids --
WITH RECURSIVE chain (lineage, tip) AS (
    SELECT lineage, input_tip FROM responses WHERE tenant = :tenant AND id = :id AND response IS NOT NULL
    UNION ALL
    SELECT lineages.parent, lineages.parent_tip
    FROM chain JOIN lineages ON lineages.id = chain.lineage
    WHERE lineages.parent IS NOT NULL
)
SELECT items.id
FROM chain LEFT JOIN items ON items.lineage = chain.lineage AND items.pos <= chain.tip AND items.tenant = :tenant;

-- place --
SELECT lineage, tip FROM responses WHERE tenant = :tenant AND id = :id;

-- extend_lineage --
UPDATE lineages SET tip = tip + :count WHERE id = :lineage AND tip = :tip RETURNING id;

-- add_lineage --
INSERT INTO lineages (tenant, parent, parent_tip, tip) VALUES (:tenant, :parent, :parent_tip, :tip) RETURNING id;

-- add_response --
INSERT INTO responses (
    tenant, id, previous_id, lineage, input_tip, tip, status, model, created_at, expires_at, response
) VALUES (
    :tenant, :id, :previous_id, :lineage, :input_tip, :tip, :status, :model, :created_at, :expires_at, :response
) RETURNING seq;

-- add_item --
INSERT INTO items (lineage, pos, tenant, id, response, output, data)
VALUES (:lineage, :pos, :tenant, :id, :response, :output, :data);

-- delete_response --
UPDATE responses SET response = NULL
WHERE tenant = :tenant AND id = :id AND response IS NOT NULL
RETURNING lineage;

-- expire_responses --
UPDATE responses SET response = NULL
WHERE seq IN (
    SELECT seq FROM responses WHERE response IS NOT NULL AND expires_at <= :now ORDER BY expires_at LIMIT :limit
)
RETURNING lineage;

-- mark_lineage --
UPDATE lineages SET stale = 1 WHERE id = :lineage;

-- stale_lineages --
SELECT
    id,
    parent,
    (
        SELECT tip FROM responses
        WHERE lineage = lineages.id AND response IS NOT NULL
        ORDER BY tip DESC
        LIMIT 1
    ) AS lived,
    (SELECT max(branch.parent_tip) FROM lineages AS branch WHERE branch.parent = lineages.id) AS branched
FROM lineages
WHERE stale = 1
LIMIT :limit;

-- cut --
SELECT DISTINCT tip FROM responses
WHERE lineage = :lineage AND tip > :needed
ORDER BY tip DESC
LIMIT 1 OFFSET :limit;

-- erase_items --
DELETE FROM items WHERE lineage = :lineage AND pos > :cut;

-- erase_responses --
DELETE FROM responses WHERE lineage = :lineage AND tip > :cut;

-- shorten_lineage --
UPDATE lineages SET tip = :cut, stale = :stale WHERE id = :lineage;

-- erase_lineage --
DELETE FROM lineages WHERE id = :lineage;
