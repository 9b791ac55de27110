-- Jobs and their logs. Whoever writes to a log holds the job: state `running`, under the epoch of its own claim.

-- find --
SELECT responses.seq, responses.response, jobs.state
FROM responses LEFT JOIN jobs ON jobs.response = responses.seq
WHERE responses.tenant = :tenant AND responses.id = :id AND responses.response IS NOT NULL;

-- count_jobs --
-- Each from an index of its own: the jobs that have ended are not looked at.
SELECT 'queued', count(*) FROM jobs WHERE state = 'queued'
UNION ALL
SELECT 'running', count(*) FROM jobs WHERE state = 'running';

-- add_job --
INSERT INTO jobs (response, state, parts, sealed, tenant, deployment, asked, quota)
VALUES (:response, 'queued', 1, :sealed, :tenant, :deployment, :asked, :quota);

-- add_events --
INSERT INTO events (response, last, part, first, data) VALUES (:response, :last, :part, :first, :data);

-- claim --
WITH free AS MATERIALIZED (
    SELECT response FROM jobs WHERE state = 'queued' ORDER BY response LIMIT :limit /*lock*/
)
UPDATE jobs SET state = 'running', owner = :boot, epoch = epoch + 1, attempt = attempt + 1
WHERE response IN (SELECT response FROM free)
RETURNING response, epoch, attempt, parts, sealed;

-- beat --
INSERT INTO nodes (boot, beat) VALUES (:boot, /*now*/)
ON CONFLICT (boot) DO UPDATE SET beat = excluded.beat;

-- held --
SELECT response, epoch FROM jobs WHERE owner = :boot AND state = 'running';

-- reclaim --
WITH lost AS MATERIALIZED (
    SELECT response FROM jobs
    WHERE state = 'running' AND attempt < :attempts
    AND NOT EXISTS (SELECT 1 FROM nodes WHERE nodes.boot = jobs.owner AND nodes.beat > /*now*/ - :lease)
    ORDER BY response LIMIT :limit /*lock*/
)
UPDATE jobs SET state = 'queued', owner = NULL, epoch = epoch + 1
WHERE response IN (SELECT response FROM lost)
RETURNING response;

-- worn_out --
SELECT response FROM jobs
WHERE state = 'running' AND attempt >= :attempts
AND NOT EXISTS (SELECT 1 FROM nodes WHERE nodes.boot = jobs.owner AND nodes.beat > /*now*/ - :lease)
ORDER BY response LIMIT :limit;

-- release --
UPDATE jobs SET state = 'queued', owner = NULL, epoch = epoch + 1, attempt = attempt - 1
WHERE response = :response AND epoch = :epoch AND state = 'running'
RETURNING response;

-- retire --
DELETE FROM nodes WHERE boot = :boot;

-- retire_all --
DELETE FROM nodes;

-- hold (sqlite) --
UPDATE jobs SET parts = jobs.parts + 1
FROM (
    SELECT
        json_extract(value, '$[0]') AS response,
        json_extract(value, '$[1]') AS epoch,
        json_extract(value, '$[2]') AS part
    FROM json_each(:rows)
) AS taken
WHERE jobs.response = taken.response AND jobs.epoch = taken.epoch AND jobs.parts = taken.part
AND jobs.state = 'running'
RETURNING response;

-- hold (postgres) --
UPDATE jobs SET parts = jobs.parts + 1
FROM (
    SELECT
        CAST(value ->> 0 AS BIGINT) AS response,
        CAST(value ->> 1 AS BIGINT) AS epoch,
        CAST(value ->> 2 AS BIGINT) AS part
    FROM json_array_elements(CAST(:rows AS JSON))
) AS taken
WHERE jobs.response = taken.response AND jobs.epoch = taken.epoch AND jobs.parts = taken.part
AND jobs.state = 'running'
RETURNING jobs.response;

-- append (sqlite) --
INSERT INTO events (response, last, part, first, data)
SELECT
    json_extract(value, '$[0]'),
    json_extract(value, '$[4]'),
    json_extract(value, '$[2]'),
    json_extract(value, '$[3]'),
    json_extract(value, '$[5]')
FROM json_each(:rows);

-- append (postgres) --
INSERT INTO events (response, last, part, first, data)
SELECT
    CAST(value ->> 0 AS BIGINT),
    CAST(value ->> 4 AS BIGINT),
    CAST(value ->> 2 AS BIGINT),
    CAST(value ->> 3 AS BIGINT),
    value ->> 5
FROM json_array_elements(CAST(:rows AS JSON));

-- written (sqlite) --
SELECT response, epoch, parts, state FROM jobs WHERE response IN (SELECT value FROM json_each(:responses));

-- written (postgres) --
SELECT response, epoch, parts, state FROM jobs
WHERE response IN (SELECT CAST(value AS BIGINT) FROM json_array_elements_text(CAST(:responses AS JSON)) AS value);

-- end_own_job --
UPDATE jobs SET state = 'ended', owner = NULL, sealed = NULL, ended_at = /*now*/
WHERE response = :response AND state = 'running'
RETURNING tenant, deployment, asked;

-- lock_job --
SELECT state, parts, tenant, deployment, asked FROM jobs WHERE response = :response /*hold*/;

-- end_job --
UPDATE jobs SET state = 'ended', owner = NULL, sealed = NULL, ended_at = /*now*/, epoch = epoch + 1, parts = parts + 1
WHERE response = :response;

-- own_place (sqlite) --
SELECT tenant, lineage, tip FROM responses WHERE seq = :response AND response IS NOT NULL;

-- own_place (postgres) --
SELECT responses.tenant, responses.lineage, responses.tip
FROM responses JOIN lineages ON lineages.id = responses.lineage
WHERE responses.seq = :response AND responses.response IS NOT NULL
FOR NO KEY UPDATE OF responses FOR UPDATE OF lineages;  -- first the response, then its lineage, as a deletion does

-- finish_response --
UPDATE responses SET status = :status, response = :json, lineage = :lineage, tip = :tip WHERE seq = :response;

-- row --
SELECT tenant, id, response FROM responses WHERE seq = :response AND response IS NOT NULL;

-- log --
SELECT first, last, data FROM events WHERE response = :response ORDER BY last, part;

-- log_after --
SELECT first, last, data FROM events
WHERE response = :response AND last > :after
ORDER BY last, part LIMIT :limit;

-- logs_after (sqlite) --
SELECT events.response, events.first, events.last, events.data
FROM json_each(:wanted) AS wanted CROSS JOIN events
WHERE events.response = json_extract(wanted.value, '$[0]') AND events.last > json_extract(wanted.value, '$[1]')
ORDER BY events.response, events.last, events.part
LIMIT :limit;

-- logs_after (postgres) --
SELECT events.response, events.first, events.last, events.data
FROM json_array_elements(CAST(:wanted AS JSON)) AS wanted (value) CROSS JOIN LATERAL (
    SELECT * FROM events
    WHERE response = CAST(wanted.value ->> 0 AS BIGINT) AND last > CAST(wanted.value ->> 1 AS BIGINT)
    ORDER BY last, part LIMIT :limit
) AS events
ORDER BY events.response, events.last, events.part;

-- state --
SELECT state FROM jobs WHERE response = :response;

-- outdate_buried --
UPDATE jobs SET ended_at = 0
WHERE state = 'ended' AND ended_at > 0
AND NOT EXISTS (SELECT 1 FROM responses WHERE responses.seq = jobs.response AND responses.response IS NOT NULL);

-- outdated --
SELECT response FROM jobs WHERE state = 'ended' AND ended_at <= /*now*/ - :age ORDER BY ended_at LIMIT :limit;

-- erase_events --
DELETE FROM events WHERE response = :response AND (last, part) IN (
    SELECT last, part FROM events WHERE response = :response ORDER BY last, part LIMIT :limit
)
RETURNING part;

-- erase_job --
DELETE FROM jobs WHERE response = :response;

-- erase_logs --
DELETE FROM events WHERE response IN (SELECT seq FROM responses WHERE lineage = :lineage AND tip > :cut);

-- erase_jobs --
DELETE FROM jobs WHERE response IN (SELECT seq FROM responses WHERE lineage = :lineage AND tip > :cut);

-- erase_silent_nodes --
DELETE FROM nodes WHERE beat < /*now*/ - :age;

-- erase_old_chores --
DELETE FROM chores WHERE until < /*now*/ - :age;

-- take_chore --
INSERT INTO chores (name, owner, until) VALUES (:name, :boot, /*now*/ + :period)
ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until
WHERE chores.owner = excluded.owner OR chores.until < /*now*/
RETURNING name;

-- leave_chore --
DELETE FROM chores WHERE name = :name AND owner = :boot;

-- leave_chores --
DELETE FROM chores;

-- add_sealing_key --
INSERT INTO sealing_keys (name, secret) VALUES (:name, :secret) ON CONFLICT (name) DO NOTHING;

-- sealing_key --
SELECT secret FROM sealing_keys WHERE name = :name;
