-- How an incident is handled (owner, ladder, snooze, merges, checklist), as one document: it is only ever read and written whole.
ALTER TABLE incident ADD COLUMN handling TEXT NOT NULL DEFAULT '{}';

-- The channel somebody answered through.
ALTER TABLE timeline ADD COLUMN channel TEXT;

-- What each batch of matches added to an incident, so that it can be moved to another.
CREATE TABLE folded (
    incident     TEXT NOT NULL REFERENCES incident (id),
    version      INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    first_seen   INTEGER NOT NULL,
    last_seen    INTEGER NOT NULL,
    count        INTEGER NOT NULL,
    rule         TEXT NOT NULL,
    entity_field TEXT,
    entity_value TEXT,
    events       TEXT NOT NULL,
    moved_to     INTEGER,
    PRIMARY KEY (incident, version)
) STRICT, WITHOUT ROWID;

-- The outbox: one message owed to one destination, and what became of it. The key is what providers tell repeats by.
CREATE TABLE notification (
    key                TEXT PRIMARY KEY,
    incident           TEXT REFERENCES incident (id),
    purpose            TEXT NOT NULL,
    severity           INTEGER NOT NULL,
    step               INTEGER,
    round              INTEGER NOT NULL,
    channel            TEXT NOT NULL,
    address            TEXT NOT NULL,
    person             TEXT,
    page               TEXT NOT NULL,
    code               TEXT,
    created_at         INTEGER NOT NULL,
    due_at             INTEGER NOT NULL,
    state              TEXT NOT NULL,
    attempts           INTEGER NOT NULL,
    attempted_at       INTEGER,
    delivered_at       INTEGER,
    provider_id        TEXT,
    error              TEXT,
    possible_duplicate INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX notification_by_incident ON notification (incident, created_at);
-- Everything that is asked of what waits is answered from the index alone: the rows are long.
CREATE INDEX notification_owed ON notification (channel, address, severity, due_at, created_at, state, purpose) WHERE state IN ('queued', 'attempting', 'uncertain');
CREATE INDEX notification_by_code ON notification (code) WHERE code IS NOT NULL;

CREATE TABLE silence (
    id       TEXT PRIMARY KEY,
    matcher  TEXT NOT NULL,
    author   TEXT NOT NULL,
    reason   TEXT NOT NULL,
    from_at  INTEGER NOT NULL,
    until_at INTEGER NOT NULL,
    ended_by TEXT,
    closed   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Whether a channel was seen to work, and what is known to be wrong with it.
CREATE TABLE channel (
    name      TEXT PRIMARY KEY,
    worked_at INTEGER,
    failed_at INTEGER,
    broken    TEXT,
    -- Where an answering channel was read up to.
    cursor    TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX incident_by_entity ON incident (entity_value, number);
