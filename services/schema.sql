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

-- How people come in. Nothing here can be used by whoever reads it: secrets are kept hashed. All of it goes
-- with the person's row, so that erasing the row ends every way in.
CREATE TABLE IF NOT EXISTS directory.passwords (
    person_id  uuid PRIMARY KEY REFERENCES directory.people ON DELETE CASCADE,
    hash       text NOT NULL,        -- Argon2id, with its parameters and its salt
    changed_at timestamptz NOT NULL
);
CREATE TABLE IF NOT EXISTS directory.password_links ( -- links that are good for setting a password, once
    person_id     uuid PRIMARY KEY REFERENCES directory.people ON DELETE CASCADE,
    id            uuid NOT NULL,
    secret_sha256 bytea NOT NULL UNIQUE,
    ends_at       timestamptz NOT NULL
);
CREATE TABLE IF NOT EXISTS directory.identities ( -- who somebody is to a provider of OpenID Connect
    issuer    text NOT NULL,
    subject   text NOT NULL,
    person_id uuid NOT NULL REFERENCES directory.people ON DELETE CASCADE,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX IF NOT EXISTS identities_person ON directory.identities (person_id);
CREATE TABLE IF NOT EXISTS directory.checkpoint_letters ( -- who wants each day's checkpoint by letter
    person_id uuid PRIMARY KEY REFERENCES directory.people ON DELETE CASCADE
);
CREATE TABLE IF NOT EXISTS directory.links ( -- personal links that are good; one that is revoked is removed
    id            uuid PRIMARY KEY,
    secret_sha256 bytea UNIQUE,      -- none before the letter goes out
    invitation_id uuid NOT NULL,
    party_id      uuid NOT NULL,
    contact_id    uuid NOT NULL REFERENCES directory.people ON DELETE CASCADE,
    holder_id     uuid NOT NULL REFERENCES directory.people ON DELETE CASCADE,
    section       text,
    ends_at       timestamptz NOT NULL
);
ALTER TABLE directory.links ALTER COLUMN secret_sha256 DROP NOT NULL; -- where it was made before
CREATE INDEX IF NOT EXISTS links_invitation ON directory.links (invitation_id);
CREATE INDEX IF NOT EXISTS links_contact ON directory.links (contact_id);
CREATE INDEX IF NOT EXISTS links_holder ON directory.links (holder_id);
CREATE TABLE IF NOT EXISTS directory.sessions (
    id            uuid PRIMARY KEY,
    secret_sha256 bytea NOT NULL UNIQUE,
    person_id     uuid NOT NULL REFERENCES directory.people ON DELETE CASCADE,
    link_id       uuid REFERENCES directory.links ON DELETE CASCADE, -- the link that it was exchanged for
    browser       text NOT NULL,     -- what the browser says of itself, for the person to know it again
    created_at    timestamptz NOT NULL,
    seen_at       timestamptz NOT NULL,
    ends_at       timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS sessions_person ON directory.sessions (person_id);
CREATE INDEX IF NOT EXISTS sessions_link ON directory.sessions (link_id);
CREATE TABLE IF NOT EXISTS directory.tokens (
    id            uuid PRIMARY KEY,
    secret_sha256 bytea NOT NULL UNIQUE,
    person_id     uuid NOT NULL REFERENCES directory.people ON DELETE CASCADE,
    name          text NOT NULL,
    role          text NOT NULL,
    owner_id      uuid,              -- for whom the role is held
    scope         text NOT NULL CHECK (scope IN ('read', 'write')),
    created_at    timestamptz NOT NULL,
    seen_at       timestamptz,
    ends_at       timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS tokens_person ON directory.tokens (person_id);
-- How far each person has read what is new. Not an event: it is about a reader, and goes with the person.
CREATE TABLE IF NOT EXISTS directory.news (
    person_id uuid PRIMARY KEY REFERENCES directory.people ON DELETE CASCADE,
    since     bigint NOT NULL,       -- where the log stood when the visit before this one ended: news come after
    since_at  timestamptz,           -- when that was; empty during the first visit
    shown     bigint NOT NULL,       -- how far the log was shown in this visit
    looked_at timestamptz NOT NULL   -- when it was looked at last
);
-- How often a way in was tried of late. The key is a digest of an account's or a network's address.
CREATE TABLE IF NOT EXISTS directory.tries (
    key   bytea PRIMARY KEY,
    tries integer NOT NULL,
    since timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS tries_since ON directory.tries (since);

-- How far each follower of the log that acts on the outside world has come.
CREATE SCHEMA IF NOT EXISTS tracking;
CREATE TABLE IF NOT EXISTS tracking.followers (
    name     text PRIMARY KEY,
    position bigint NOT NULL
);

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA log, documents, tracking TO mandate_writer, mandate_projector, mandate_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA log, documents, tracking TO mandate_writer, mandate_projector, mandate_reader;
-- The directory is for those who act. Whoever makes the tables, or reads them, needs nobody's name or secret.
REVOKE ALL ON SCHEMA directory FROM mandate_projector, mandate_reader;
REVOKE ALL ON ALL TABLES IN SCHEMA directory FROM mandate_projector, mandate_reader;
GRANT USAGE ON SCHEMA directory TO mandate_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA directory TO mandate_writer;
-- The writer may add to the log. Nobody but the owner may change or remove what is there.
GRANT INSERT ON log.stored_events, log.commands, documents.files TO mandate_writer;
GRANT USAGE ON SEQUENCE log.stored_events_notification_id_seq TO mandate_writer;
GRANT INSERT, UPDATE, DELETE ON tracking.followers TO mandate_writer;
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
    witness  text NOT NULL,              -- the public key of who was to be asked to cosign; empty for nobody
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
ALTER TABLE history.alarms ADD COLUMN IF NOT EXISTS told_at timestamptz; -- when letters about it had gone out
GRANT USAGE ON SCHEMA history TO mandate_writer, mandate_projector, mandate_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA history TO mandate_writer, mandate_projector, mandate_reader;
GRANT INSERT, UPDATE, DELETE ON history.tiles, history.positions TO mandate_projector;
GRANT UPDATE ON history.progress TO mandate_projector;
GRANT INSERT ON history.keys, history.checkpoints, history.cosignatures, history.alarms TO mandate_projector;
GRANT UPDATE (ended_at) ON history.alarms TO mandate_projector;
-- The worker holds the log against what was published each night, and writes to people about what it finds.
GRANT INSERT, UPDATE (ended_at, told_at) ON history.alarms TO mandate_writer;
RESET ROLE;

-- Tables with a memory are made by the projector, in schemas of its own; readers find them through these two.
CREATE SCHEMA IF NOT EXISTS now AUTHORIZATION mandate_projector;
CREATE SCHEMA IF NOT EXISTS as_of AUTHORIZATION mandate_projector;
GRANT USAGE ON SCHEMA now, as_of TO mandate_reader, mandate_writer;
GRANT CREATE ON DATABASE mandate TO mandate_projector;
