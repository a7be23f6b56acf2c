-- Events: a small hot table, and sealed blocks (zstd JSON lines with a Bloom filter). Only store::events reads these two.
CREATE TABLE hot (
    seq  INTEGER PRIMARY KEY,
    at   INTEGER NOT NULL,
    line BLOB NOT NULL
) STRICT;

CREATE TABLE block (
    first_seq INTEGER PRIMARY KEY,
    last_seq  INTEGER NOT NULL,
    first_at  INTEGER NOT NULL,
    last_at   INTEGER NOT NULL,
    n         INTEGER NOT NULL,
    body      BLOB NOT NULL
) STRICT;

-- A block's Bloom filter, in segments: a word lives in one of them, so that a search reads a sixteenth of all filters,
-- and those lie side by side.
CREATE TABLE bloom (
    segment   INTEGER NOT NULL,
    first_seq INTEGER NOT NULL REFERENCES block (first_seq) ON DELETE CASCADE,
    bits      BLOB NOT NULL,
    PRIMARY KEY (segment, first_seq)
) STRICT, WITHOUT ROWID;

-- Events by the minute they occurred in: all, and those that matched a rule, by severity.
CREATE TABLE rate (
    minute INTEGER PRIMARY KEY,
    total  INTEGER NOT NULL,
    p1     INTEGER NOT NULL,
    p2     INTEGER NOT NULL,
    p3     INTEGER NOT NULL,
    p4     INTEGER NOT NULL
) STRICT;

CREATE TABLE feed (
    name        TEXT PRIMARY KEY,
    epoch       TEXT,
    cursor      TEXT,
    received    INTEGER NOT NULL,
    stored      INTEGER NOT NULL,
    duplicates  INTEGER NOT NULL,
    quarantined INTEGER NOT NULL,
    filtered    INTEGER NOT NULL,
    discarded   INTEGER NOT NULL,
    heard_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE gap (
    id        INTEGER PRIMARY KEY,
    feed      TEXT NOT NULL,
    from_at   INTEGER NOT NULL,
    to_at     INTEGER NOT NULL,
    reason    TEXT NOT NULL,
    estimated INTEGER
) STRICT;

CREATE TABLE quarantine (
    id     INTEGER PRIMARY KEY,
    feed   TEXT NOT NULL,
    at     INTEGER NOT NULL,
    error  TEXT NOT NULL,
    raw    BLOB NOT NULL,
    length INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    cursor TEXT
) STRICT;

CREATE TABLE incident (
    id                 TEXT PRIMARY KEY,
    number             INTEGER NOT NULL UNIQUE,
    version            INTEGER NOT NULL,
    rule               TEXT NOT NULL,
    rule_title         TEXT NOT NULL,
    kind               TEXT NOT NULL,
    severity           INTEGER NOT NULL CHECK (severity BETWEEN 1 AND 4),
    entity_field       TEXT,
    entity_value       TEXT,
    state              TEXT NOT NULL CHECK (state IN ('open', 'acknowledged', 'resolved')),
    message            TEXT NOT NULL,
    count              INTEGER NOT NULL,
    feeds              TEXT NOT NULL,
    first_seen         INTEGER NOT NULL,
    last_seen          INTEGER NOT NULL,
    detected_at        INTEGER NOT NULL,
    acknowledged_at    INTEGER,
    acknowledged_by    TEXT,
    acknowledged_count INTEGER,
    resolved_at        INTEGER,
    resolved_by        TEXT,
    verdict            TEXT,
    recurrence_of      INTEGER,
    first_events       TEXT NOT NULL,
    last_events        TEXT NOT NULL,
    actions            TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX incident_by_state ON incident (state, severity, number);

CREATE TABLE timeline (
    incident TEXT NOT NULL REFERENCES incident (id),
    version  INTEGER NOT NULL,
    ordinal  INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    operator TEXT,
    kind     TEXT NOT NULL,
    text     TEXT NOT NULL,
    PRIMARY KEY (incident, version, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_leaf (
    idx          INTEGER PRIMARY KEY,
    header       TEXT NOT NULL,
    payload      TEXT,
    salt         BLOB,
    payload_hash BLOB NOT NULL,
    hash         BLOB NOT NULL
) STRICT;

CREATE TABLE audit_checkpoint (
    size INTEGER PRIMARY KEY,
    root BLOB NOT NULL,
    at   INTEGER NOT NULL,
    note TEXT NOT NULL
) STRICT;

-- The public keys that signed checkpoints: a recovered console signs on with a new one.
CREATE TABLE audit_key (
    public_key BLOB PRIMARY KEY,
    since_size INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What detection remembers, with the last event that is in it.
CREATE TABLE detector (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    through INTEGER NOT NULL,
    state   BLOB NOT NULL
) STRICT;
