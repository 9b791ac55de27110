-- A chain is a path of lineages. An item's position counts from the root of its chain, across lineages, so that within
-- one chain positions are unique and in order. A response whose column `response` is NULL is a tombstone.

-- response --
SELECT response FROM responses WHERE tenant = :tenant AND id = :id AND response IS NOT NULL;

-- context (sqlite) --
WITH RECURSIVE chain (lineage, tip, omissions) AS (
    SELECT lineage, tip, omissions FROM responses
    WHERE tenant = :tenant AND id = :id AND response IS NOT NULL
    AND (status = 'queued') = (CAST(:queued AS INTEGER) = 1)
    UNION ALL
    SELECT lineages.parent, lineages.parent_tip, chain.omissions
    FROM chain JOIN lineages ON lineages.id = chain.lineage
    WHERE lineages.parent IS NOT NULL
)
SELECT items.id, items.data, items.output
FROM chain LEFT JOIN items ON items.lineage = chain.lineage AND items.pos <= chain.tip AND items.tenant = :tenant
    AND (items.omitted IS NULL OR items.omitted > chain.omissions)
ORDER BY items.pos;

-- context (postgres) --
WITH RECURSIVE chain (lineage, tip, omissions) AS (
    SELECT lineage, tip, omissions FROM responses
    WHERE tenant = :tenant AND id = :id AND response IS NOT NULL
    AND (status = 'queued') = (CAST(:queued AS INTEGER) = 1)
    UNION ALL
    SELECT lineages.parent, lineages.parent_tip, chain.omissions
    FROM chain JOIN lineages ON lineages.id = chain.lineage
    WHERE lineages.parent IS NOT NULL
)
SELECT own.id, own.data, own.output
FROM chain LEFT JOIN LATERAL (  -- a plain join reads the whole table, whose size the planner overrates
    SELECT id, data, output, pos FROM items
    WHERE items.lineage = chain.lineage AND items.pos <= chain.tip AND items.tenant = :tenant
    AND (items.omitted IS NULL OR items.omitted > chain.omissions)
    ORDER BY pos OFFSET 0
) AS own ON TRUE
ORDER BY own.pos;

-- find_items (sqlite) --
SELECT items.id, items.data, items.output
FROM json_each(:ids) AS wanted JOIN items ON (items.lineage, items.pos) = (
    SELECT same.lineage, same.pos
    FROM items AS same JOIN responses ON responses.seq = same.response
    WHERE same.tenant = :tenant AND same.id = wanted.value AND (
        responses.response IS NOT NULL
        OR same.omitted IS NULL
        AND EXISTS (SELECT 1 FROM conversations WHERE conversations.seq = responses.conversation)
    )
    ORDER BY same.response DESC, same.pos DESC
    LIMIT 1
);

-- find_items (postgres) --
SELECT found.id, found.data, found.output
FROM (
    SELECT DISTINCT value AS id
    FROM json_array_elements_text(CAST(replace(:ids, '\u0000', '\ufffd') AS JSON)) AS value  -- NUL is kept as U+FFFD
) AS wanted CROSS JOIN LATERAL (
    SELECT items.id, items.data, items.output
    FROM items JOIN responses ON responses.seq = items.response
    WHERE items.tenant = :tenant AND items.id = wanted.id AND (
        responses.response IS NOT NULL
        OR items.omitted IS NULL
        AND EXISTS (SELECT 1 FROM conversations WHERE conversations.seq = responses.conversation)
    )
    ORDER BY items.response DESC, items.pos DESC
    LIMIT 1
) AS found;

-- input_items (sqlite) --
WITH RECURSIVE chain (lineage, tip, omissions) AS (
    SELECT lineage, input_tip, omissions FROM responses WHERE tenant = :tenant AND id = :id AND response IS NOT NULL
    UNION ALL
    SELECT lineages.parent, lineages.parent_tip, chain.omissions
    FROM chain JOIN lineages ON lineages.id = chain.lineage
    WHERE lineages.parent IS NOT NULL
), listed (id, pos) AS (
    SELECT items.id, max(items.pos)
    FROM chain CROSS JOIN items  -- CROSS: the chain first, then its items, whatever the planner guesses
    WHERE items.lineage = chain.lineage AND items.pos <= chain.tip AND items.tenant = :tenant
    AND (items.omitted IS NULL OR items.omitted > chain.omissions)
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

-- input_items (postgres) --
WITH RECURSIVE chain (lineage, tip, omissions) AS (
    SELECT lineage, input_tip, omissions FROM responses WHERE tenant = :tenant AND id = :id AND response IS NOT NULL
    UNION ALL
    SELECT lineages.parent, lineages.parent_tip, chain.omissions
    FROM chain JOIN lineages ON lineages.id = chain.lineage
    WHERE lineages.parent IS NOT NULL
), listed (id, lineage, pos) AS (
    SELECT DISTINCT ON (own.id) own.id, chain.lineage, own.pos
    FROM chain CROSS JOIN LATERAL (
        SELECT id, pos FROM items
        WHERE items.lineage = chain.lineage AND items.pos <= chain.tip AND items.tenant = :tenant
        AND (items.omitted IS NULL OR items.omitted > chain.omissions)
        ORDER BY pos OFFSET 0
    ) AS own
    ORDER BY own.id, own.pos DESC
), page (lineage, pos) AS (
    SELECT lineage, pos FROM listed
    WHERE CAST(:after AS TEXT) IS NULL OR pos * :direction > (SELECT pos * :direction FROM listed WHERE id = :after)
    ORDER BY pos * :direction
    LIMIT :limit
)
SELECT own.id, own.data, own.output
FROM page CROSS JOIN LATERAL (
    SELECT id, data, output FROM items WHERE items.lineage = page.lineage AND items.pos = page.pos OFFSET 0
) AS own
ORDER BY page.pos * :direction;

-- input_ids (sqlite) --
WITH RECURSIVE chain (lineage, tip, omissions) AS (
    SELECT lineage, input_tip, omissions FROM responses WHERE tenant = :tenant AND id = :id AND response IS NOT NULL
    UNION ALL
    SELECT lineages.parent, lineages.parent_tip, chain.omissions
    FROM chain JOIN lineages ON lineages.id = chain.lineage
    WHERE lineages.parent IS NOT NULL
)
SELECT items.id
FROM chain LEFT JOIN items ON items.lineage = chain.lineage AND items.pos <= chain.tip AND items.tenant = :tenant
    AND (items.omitted IS NULL OR items.omitted > chain.omissions);

-- input_ids (postgres) --
WITH RECURSIVE chain (lineage, tip, omissions) AS (
    SELECT lineage, input_tip, omissions FROM responses WHERE tenant = :tenant AND id = :id AND response IS NOT NULL
    UNION ALL
    SELECT lineages.parent, lineages.parent_tip, chain.omissions
    FROM chain JOIN lineages ON lineages.id = chain.lineage
    WHERE lineages.parent IS NOT NULL
)
SELECT own.id
FROM chain LEFT JOIN LATERAL (
    SELECT id FROM items
    WHERE items.lineage = chain.lineage AND items.pos <= chain.tip AND items.tenant = :tenant
    AND (items.omitted IS NULL OR items.omitted > chain.omissions)
    OFFSET 0
) AS own ON TRUE;

-- place (sqlite) --
SELECT lineage, tip, omissions FROM responses WHERE tenant = :tenant AND id = :id;

-- place (postgres) --
-- Whoever holds a lineage is the only one that appends to it, branches from it or erases in it; it is held before any of
-- its responses. A response that was erased while this waited is no row. Burying a response does not wait for it.
SELECT responses.lineage, responses.tip, responses.omissions
FROM lineages JOIN responses ON responses.lineage = lineages.id
WHERE responses.tenant = :tenant AND responses.id = :id
FOR UPDATE OF lineages FOR KEY SHARE OF responses;

-- extend_lineage --
UPDATE lineages SET tip = tip + :count WHERE id = :lineage AND tip = :tip RETURNING id;

-- add_lineage --
INSERT INTO lineages (tenant, parent, parent_tip, tip) VALUES (:tenant, :parent, :parent_tip, :tip) RETURNING id;

-- add_response (sqlite) --
-- What it took is added by a statement of its own: SQLite has no INSERT within another statement.
INSERT INTO responses (
    seq, tenant, id, previous_id, lineage, input_tip, tip, status, model, created_at, expires_at, response, has_blobs,
    conversation, omissions
) VALUES (
    1 + max(coalesce((SELECT max(seq) FROM responses), 0), (SELECT last FROM numbers)),
    :tenant, :id, :previous_id, :lineage, :input_tip, :tip, :status, :model, :created_at, :expires_at, :response,
    :has_blobs, :conversation, :omissions
) RETURNING seq;

-- add_response (postgres) --
WITH charged AS (
    /*_add_usage*/
)
INSERT INTO responses (
    tenant, id, previous_id, lineage, input_tip, tip, status, model, created_at, expires_at, response, has_blobs,
    conversation, omissions
) VALUES (
    :tenant, :id, :previous_id, :lineage, :input_tip, :tip, :status, :model, :created_at, :expires_at, :response,
    :has_blobs, :conversation, :omissions
) RETURNING seq;

-- add_item --
INSERT INTO items (lineage, pos, tenant, id, response, output, data)
VALUES (:lineage, :pos, :tenant, :id, :response, :output, :data);

-- delete_response --
UPDATE responses SET response = NULL
WHERE tenant = :tenant AND id = :id AND response IS NOT NULL
RETURNING lineage;

-- expire_responses --
WITH due AS MATERIALIZED (
    SELECT seq FROM responses WHERE response IS NOT NULL AND expires_at <= :now ORDER BY expires_at LIMIT :limit /*lock*/
)
UPDATE responses SET response = NULL
WHERE seq IN (SELECT seq FROM due)
RETURNING lineage;

-- mark_lineage --
UPDATE lineages SET stale = 1 WHERE id = :lineage;

-- stale_lineages --
SELECT id, parent FROM lineages WHERE stale = 1 LIMIT :limit /*lock*/;

-- needed --
-- Asked once the lineage is held, so that nothing is appended or branched off behind its back.
SELECT
    (
        SELECT tip FROM responses
        WHERE lineage = :lineage AND response IS NOT NULL
        ORDER BY tip DESC
        LIMIT 1
    ) AS lived,
    (SELECT max(branch.parent_tip) FROM lineages AS branch WHERE branch.parent = :lineage) AS branched,
    (SELECT max(tip) FROM conversations WHERE lineage = :lineage) AS pointed;

-- cut --
SELECT DISTINCT tip FROM responses
WHERE lineage = :lineage AND tip > :needed
ORDER BY tip DESC
LIMIT 1 OFFSET :limit;

-- erase_items --
DELETE FROM items WHERE lineage = :lineage AND pos > :cut;

-- erase_responses --
DELETE FROM responses WHERE lineage = :lineage AND tip > :cut RETURNING tenant, id, has_blobs;

-- shorten_lineage --
UPDATE lineages SET tip = :cut, stale = :stale WHERE id = :lineage;

-- erase_lineage --
DELETE FROM lineages WHERE id = :lineage;
