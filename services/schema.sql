-- The event log and what stands beside it. Run once, by one command, before any process starts.
-- The table log.stored_events itself is made by the eventsourcing library just before this script.
SET ROLE mandate_owner;

-- Every command that was carried out or refused, under the key that its caller gave it. The row is
-- written in the transaction of its events, so a reply that was lost can always be looked up.
CREATE TABLE IF NOT EXISTS log.commands (
    key            uuid PRIMARY KEY,
    digest         bytea NOT NULL,       -- SHA-256 of what was asked; another body under the same key is refused
    actor          text NOT NULL,
    recorded_at    timestamptz NOT NULL, -- grows with the positions, also when the clock is set back
    first_position bigint,               -- both empty when the command recorded no event
    last_position  bigint,
    outcome        text NOT NULL CHECK (outcome IN ('done', 'refused')),
    reply          bytea NOT NULL        -- the answer, byte by byte
);
CREATE INDEX IF NOT EXISTS commands_recorded_at ON log.commands (recorded_at, last_position);

-- Appends the events of many commands in one go. All writers take one advisory lock until their commit,
-- so positions become visible in their order and no reader ever sees a gap that is filled later. The lock
-- is not LOCK TABLE: that one stalls behind VACUUM and needs more rights than INSERT.
-- Command n owns the events from event_firsts[n] to event_lasts[n] (counted from 1; an empty span for none).
CREATE OR REPLACE FUNCTION log.append(
    keys uuid[], digests bytea[], actors text[], outcomes text[], replies bytea[],
    event_firsts int[], event_lasts int[],
    ids uuid[], versions bigint[], topics text[], states bytea[]
) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    positions bigint[];
    earlier timestamptz;
BEGIN
    PERFORM pg_advisory_xact_lock(7072015);
    SELECT max(recorded_at) INTO earlier FROM log.commands;
    WITH inserted AS (
        INSERT INTO log.stored_events (originator_id, originator_version, topic, state)
        SELECT e.id, e.version, e.topic, e.state
        FROM unnest(ids, versions, topics, states) WITH ORDINALITY AS e(id, version, topic, state, n)
        ORDER BY e.n
        RETURNING notification_id
    )
    SELECT array_agg(notification_id ORDER BY notification_id) INTO positions FROM inserted;
    INSERT INTO log.commands
    SELECT c.key, c.digest, c.actor, greatest(clock_timestamp(), earlier),
           CASE WHEN c.first <= c.last THEN positions[c.first] END,
           CASE WHEN c.first <= c.last THEN positions[c.last] END,
           c.outcome, c.reply
    FROM unnest(keys, digests, actors, outcomes, replies, event_firsts, event_lasts)
         AS c(key, digest, actor, outcome, reply, first, last);
    IF positions IS NOT NULL THEN
        PERFORM pg_notify('log', positions[array_upper(positions, 1)]::text);
    END IF;
    RETURN positions;
END $$;

-- The same, command by command: one that loses does not take the others with it. The outcome is
-- 'recorded', 'repeated' (the key is known already) or 'conflict' (somebody else wrote that version).
CREATE OR REPLACE FUNCTION log.append_checked(
    keys uuid[], digests bytea[], actors text[], outcomes text[], replies bytea[],
    event_firsts int[], event_lasts int[],
    ids uuid[], versions bigint[], topics text[], states bytea[]
) RETURNS TABLE (n int, result text, last_position bigint) LANGUAGE plpgsql AS $$
DECLARE
    positions bigint[];
BEGIN
    PERFORM pg_advisory_xact_lock(7072015);
    FOR i IN 1 .. array_length(keys, 1) LOOP
        n := i;
        last_position := NULL;
        -- The key is looked at first: one's own earlier commit would otherwise look like a conflict.
        IF EXISTS (SELECT FROM log.commands WHERE key = keys[i]) THEN
            result := 'repeated';
        ELSE
            BEGIN
                positions := log.append(
                    keys[i:i], digests[i:i], actors[i:i], outcomes[i:i], replies[i:i],
                    ARRAY[1], ARRAY[event_lasts[i] - event_firsts[i] + 1],
                    ids[event_firsts[i]:event_lasts[i]], versions[event_firsts[i]:event_lasts[i]],
                    topics[event_firsts[i]:event_lasts[i]], states[event_firsts[i]:event_lasts[i]]);
                result := 'recorded';
                last_position := positions[array_upper(positions, 1)];
            EXCEPTION WHEN unique_violation THEN
                result := 'conflict';
            END;
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;

-- Documents by their content: a spreadsheet, an XForm, later a report. Never changed, only added.
CREATE SCHEMA IF NOT EXISTS documents;
CREATE TABLE IF NOT EXISTS documents.files (
    sha256     bytea PRIMARY KEY,
    media_type text NOT NULL,
    content    bytea NOT NULL
);

-- People: the one place for names and addresses. Its rows can be erased; histories hold ids only.
CREATE SCHEMA IF NOT EXISTS directory;
CREATE TABLE IF NOT EXISTS directory.people (
    id       uuid PRIMARY KEY,
    name     text NOT NULL,
    email    text NOT NULL,
    language text NOT NULL DEFAULT 'en',
    role     text
);

-- How far each follower of the log that acts on the outside world has come.
CREATE SCHEMA IF NOT EXISTS tracking;
CREATE TABLE IF NOT EXISTS tracking.followers (
    name     text PRIMARY KEY,
    position bigint NOT NULL
);

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA log, documents, directory, tracking TO mandate_writer, mandate_projector, mandate_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA log, documents, directory, tracking TO mandate_writer, mandate_projector, mandate_reader;
-- The writer may add to the log. Nobody but the owner may change or remove what is there.
GRANT INSERT ON log.stored_events, log.commands, documents.files TO mandate_writer;
GRANT USAGE ON SEQUENCE log.stored_events_notification_id_seq TO mandate_writer;
GRANT INSERT, UPDATE, DELETE ON directory.people, tracking.followers TO mandate_writer;
-- The library's own function for inserting takes no lock, so nobody is given it.
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA log FROM PUBLIC;
GRANT EXECUTE ON FUNCTION log.append, log.append_checked TO mandate_writer;
-- The history: the log as a Merkle tree, grown by the projector. Tiles and positions can be made anew from the
-- log. Checkpoints cannot, and nobody but the owner may change or remove one.
CREATE SCHEMA IF NOT EXISTS history;
CREATE TABLE IF NOT EXISTS history.tiles (
    level  smallint NOT NULL,
    number bigint NOT NULL,
    hashes bytea STORAGE EXTERNAL NOT NULL, -- up to 256 of 32 bytes each
    PRIMARY KEY (level, number)
);
CREATE TABLE IF NOT EXISTS history.positions ( -- where in the log the leaves of each tile of level 0 stand
    number    bigint PRIMARY KEY,
    first     bigint NOT NULL UNIQUE,
    positions bytea STORAGE EXTERNAL NOT NULL -- eight bytes each, big-endian
);
CREATE TABLE IF NOT EXISTS history.progress (
    size     bigint NOT NULL,            -- how many leaves there are
    position bigint NOT NULL             -- the position of the last one
);
INSERT INTO history.progress SELECT 0, 0 WHERE NOT EXISTS (SELECT FROM history.progress);
CREATE TABLE IF NOT EXISTS history.keys (
    log      text NOT NULL,
    number   integer NOT NULL,           -- 1 for the first key of the log
    public   text NOT NULL,
    rotation bytea,                      -- the note by which the key before it names this one
    known_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (log, number)
);
CREATE TABLE IF NOT EXISTS history.checkpoints (
    log      text NOT NULL,
    size     bigint NOT NULL,
    position bigint NOT NULL,            -- the position of the last event that it covers
    note     bytea NOT NULL,             -- as the log has signed it
    witness  text NOT NULL,              -- who was to be asked to cosign; empty for nobody
    made_at  timestamptz NOT NULL,
    PRIMARY KEY (log, size)
);
CREATE INDEX IF NOT EXISTS checkpoints_position ON history.checkpoints (log, position);
CREATE TABLE IF NOT EXISTS history.cosignatures (
    log      text NOT NULL,
    size     bigint NOT NULL,
    witness  text NOT NULL,
    outcome  text NOT NULL CHECK (outcome IN ('cosigned', 'refused', 'absent', 'passed over')),
    line     text NOT NULL,              -- the witness's signature; empty when it gave none
    detail   text NOT NULL,              -- what it said when it did not sign
    asked_at timestamptz NOT NULL,
    PRIMARY KEY (log, size, witness)
);
CREATE TABLE IF NOT EXISTS history.alarms (
    number    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind      text NOT NULL,             -- who found it: 'follower', 'audit' or 'witness'
    message   text NOT NULL,
    raised_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at  timestamptz
);
GRANT USAGE ON SCHEMA history TO mandate_writer, mandate_projector, mandate_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA history TO mandate_writer, mandate_projector, mandate_reader;
GRANT INSERT, UPDATE, DELETE ON history.tiles, history.positions TO mandate_projector;
GRANT UPDATE ON history.progress TO mandate_projector;
GRANT INSERT ON history.keys, history.checkpoints, history.cosignatures, history.alarms TO mandate_projector;
GRANT UPDATE (ended_at) ON history.alarms TO mandate_projector;
RESET ROLE;

-- Tables with a memory are made by the projector, in schemas of its own; readers find them through these two.
CREATE SCHEMA IF NOT EXISTS now AUTHORIZATION mandate_projector;
CREATE SCHEMA IF NOT EXISTS as_of AUTHORIZATION mandate_projector;
GRANT USAGE ON SCHEMA now, as_of TO mandate_reader, mandate_writer;
GRANT CREATE ON DATABASE mandate TO mandate_projector;
