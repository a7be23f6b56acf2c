-- Requests of data subjects, breaches, consents, processing activities, holds, runs of retention, reports: each is one document, read and
-- written whole. What they mean is `privacy`'s business.
CREATE TABLE record (
    kind     TEXT NOT NULL,
    number   INTEGER NOT NULL,
    version  INTEGER NOT NULL,
    open     INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (kind, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX record_by_state ON record (kind, open, number);

-- The greatest number ever given, of each kind: what was deleted leaves its number to nobody.
CREATE TABLE counter (
    kind TEXT PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The words as they came in were deleted from this block; the mapped fields are still there.
ALTER TABLE block ADD COLUMN raw_gone INTEGER NOT NULL DEFAULT 0;

-- Deleting a block deletes its filter.
CREATE INDEX bloom_by_block ON bloom (first_seq);

-- What retention asks for.
CREATE INDEX incident_by_end ON incident (resolved_at) WHERE state = 'resolved';
CREATE INDEX incident_by_detection ON incident (detected_at);
