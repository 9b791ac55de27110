-- Conversations: pointers into lineages, as responses are. Whoever changes a row holds it before any lineage.

-- add_conversation --
INSERT INTO conversations (tenant, id, created_at, metadata, lineage, tip, holder, held_at)
VALUES (:tenant, :id, :created_at, :metadata, :lineage, 0, :holder, :created_at);

-- conversation --
SELECT id, created_at, metadata FROM conversations WHERE tenant = :tenant AND id = :id;

-- update_conversation --
UPDATE conversations SET metadata = :metadata WHERE tenant = :tenant AND id = :id RETURNING id, created_at, metadata;

-- delete_conversation --
DELETE FROM conversations WHERE tenant = :tenant AND id = :id RETURNING lineage;

-- lock_conversation --
-- Whoever has a job that has not ended holds it however long that takes; all others have to say so from time to time.
UPDATE conversations SET holder = :holder, held_at = :now
WHERE tenant = :tenant AND id = :id AND (
    holder IS NULL
    OR holder = :holder
    OR held_at <= CAST(:now AS BIGINT) - CAST(:seconds AS BIGINT) AND NOT EXISTS (
        SELECT 1 FROM responses JOIN jobs ON jobs.response = responses.seq
        WHERE responses.tenant = conversations.tenant AND responses.id = conversations.holder AND jobs.state <> 'ended'
    )
)
RETURNING seq;

-- unlock_conversation --
UPDATE conversations SET holder = NULL, held_at = NULL
WHERE tenant = :tenant AND id = :id AND holder = :holder
RETURNING seq;

-- free_conversations --
UPDATE conversations SET holder = NULL, held_at = NULL
WHERE holder IS NOT NULL AND held_at <= :before AND NOT EXISTS (
    SELECT 1 FROM responses JOIN jobs ON jobs.response = responses.seq
    WHERE responses.tenant = conversations.tenant AND responses.id = conversations.holder AND jobs.state <> 'ended'
);

-- renew_conversations (sqlite) --
UPDATE conversations SET held_at = :now WHERE holder IN (SELECT value FROM json_each(:holders));

-- renew_conversations (postgres) --
WITH held AS MATERIALIZED (  -- whoever has one of them now is about to let it go
    SELECT seq FROM conversations
    WHERE holder IN (SELECT value FROM json_array_elements_text(CAST(:holders AS JSON)) AS value) /*lock*/
)
UPDATE conversations SET held_at = :now WHERE seq IN (SELECT seq FROM held);

-- conversation_place --
SELECT seq, lineage, tip, omissions, holder FROM conversations WHERE tenant = :tenant AND id = :id /*hold*/;

-- conversation_of --
-- The conversation that a response holds.
SELECT seq FROM conversations
WHERE seq = (SELECT conversation FROM responses WHERE seq = :response)
AND holder = (SELECT id FROM responses WHERE seq = :response) /*hold*/;

-- move_conversation --
UPDATE conversations SET lineage = :lineage, tip = :tip WHERE seq = :conversation;

-- release_conversation --
UPDATE conversations SET holder = NULL, held_at = NULL WHERE seq = :conversation;

-- omission --
UPDATE conversations SET omissions = omissions + 1 WHERE tenant = :tenant AND id = :id RETURNING omissions;

-- omit_items --
WITH RECURSIVE chain (lineage, tip) AS (
    SELECT lineage, tip FROM conversations WHERE tenant = :tenant AND id = :conversation
    UNION ALL
    SELECT lineages.parent, lineages.parent_tip
    FROM chain JOIN lineages ON lineages.id = chain.lineage
    WHERE lineages.parent IS NOT NULL
)
UPDATE items SET omitted = :number
WHERE tenant = :tenant AND id = :id AND omitted IS NULL
AND EXISTS (SELECT 1 FROM chain WHERE chain.lineage = items.lineage AND items.pos <= chain.tip)
RETURNING pos;

-- conversation_context (sqlite) --
WITH RECURSIVE chain (lineage, tip) AS (
    SELECT lineage, tip FROM conversations WHERE tenant = :tenant AND id = :id
    UNION ALL
    SELECT lineages.parent, lineages.parent_tip
    FROM chain JOIN lineages ON lineages.id = chain.lineage
    WHERE lineages.parent IS NOT NULL
)
SELECT items.id, items.data, items.output
FROM chain LEFT JOIN items ON items.lineage = chain.lineage AND items.pos <= chain.tip AND items.tenant = :tenant
    AND items.omitted IS NULL
ORDER BY items.pos;

-- conversation_context (postgres) --
WITH RECURSIVE chain (lineage, tip) AS (
    SELECT lineage, tip FROM conversations WHERE tenant = :tenant AND id = :id
    UNION ALL
    SELECT lineages.parent, lineages.parent_tip
    FROM chain JOIN lineages ON lineages.id = chain.lineage
    WHERE lineages.parent IS NOT NULL
)
SELECT own.id, own.data, own.output
FROM chain LEFT JOIN LATERAL (  -- a plain join reads the whole table, whose size the planner overrates
    SELECT id, data, output, pos FROM items
    WHERE items.lineage = chain.lineage AND items.pos <= chain.tip AND items.tenant = :tenant
    AND items.omitted IS NULL
    ORDER BY pos OFFSET 0
) AS own ON TRUE
ORDER BY own.pos;

-- conversation_named (sqlite) --
WITH RECURSIVE chain (lineage, tip) AS (
    SELECT lineage, tip FROM conversations WHERE tenant = :tenant AND id = :id
    UNION ALL
    SELECT lineages.parent, lineages.parent_tip
    FROM chain JOIN lineages ON lineages.id = chain.lineage
    WHERE lineages.parent IS NOT NULL
)
SELECT items.id, items.data, items.output
FROM json_each(:ids) AS wanted CROSS JOIN items CROSS JOIN chain  -- CROSS: what is named first
WHERE items.tenant = :tenant AND items.id = wanted.value AND items.omitted IS NULL
AND items.lineage = chain.lineage AND items.pos <= chain.tip
ORDER BY items.pos;

-- conversation_named (postgres) --
WITH RECURSIVE chain (lineage, tip) AS (
    SELECT lineage, tip FROM conversations WHERE tenant = :tenant AND id = :id
    UNION ALL
    SELECT lineages.parent, lineages.parent_tip
    FROM chain JOIN lineages ON lineages.id = chain.lineage
    WHERE lineages.parent IS NOT NULL
)
SELECT own.id, own.data, own.output
FROM (
    SELECT DISTINCT value AS id
    FROM json_array_elements_text(CAST(replace(:ids, '\u0000', '\ufffd') AS JSON)) AS value  -- NUL is kept as U+FFFD
) AS wanted CROSS JOIN LATERAL (
    SELECT items.id, items.data, items.output, items.lineage, items.pos FROM items
    WHERE items.tenant = :tenant AND items.id = wanted.id AND items.omitted IS NULL
    OFFSET 0
) AS own JOIN chain ON chain.lineage = own.lineage AND own.pos <= chain.tip
ORDER BY own.pos;

-- conversation_page (sqlite) --
WITH RECURSIVE chain (lineage, tip) AS (
    SELECT lineage, tip FROM conversations WHERE tenant = :tenant AND id = :id
    UNION ALL
    SELECT lineages.parent, lineages.parent_tip
    FROM chain JOIN lineages ON lineages.id = chain.lineage
    WHERE lineages.parent IS NOT NULL
), listed (id, pos) AS (
    SELECT items.id, max(items.pos)
    FROM chain CROSS JOIN items  -- CROSS: the chain first, then its items, whatever the planner guesses
    WHERE items.lineage = chain.lineage AND items.pos <= chain.tip AND items.tenant = :tenant AND items.omitted IS NULL
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

-- conversation_page (postgres) --
WITH RECURSIVE chain (lineage, tip) AS (
    SELECT lineage, tip FROM conversations WHERE tenant = :tenant AND id = :id
    UNION ALL
    SELECT lineages.parent, lineages.parent_tip
    FROM chain JOIN lineages ON lineages.id = chain.lineage
    WHERE lineages.parent IS NOT NULL
), listed (id, lineage, pos) AS (
    SELECT DISTINCT ON (own.id) own.id, chain.lineage, own.pos
    FROM chain CROSS JOIN LATERAL (
        SELECT id, pos FROM items
        WHERE items.lineage = chain.lineage AND items.pos <= chain.tip AND items.tenant = :tenant
        AND items.omitted IS NULL
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
