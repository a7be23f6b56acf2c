-- What searches, retention and the start ask of a block, apart from its body: a row here takes some forty bytes, one
-- of `block` a hundred kilobytes and pages of its own. A block's row still says of itself what it holds, so that this
-- table can be made again.
CREATE TABLE block_meta (
    first_seq   INTEGER PRIMARY KEY REFERENCES block (first_seq) ON DELETE CASCADE,
    last_seq    INTEGER NOT NULL,
    first_at    INTEGER NOT NULL,
    last_at     INTEGER NOT NULL,
    -- The greatest `last_at` of this block and of all before it. It never falls, so that one look says below which
    -- block nothing is new enough.
    newest_at   INTEGER NOT NULL,
    -- When the last of its events was received; not known of blocks that were sealed before this was kept.
    received_at INTEGER,
    n           INTEGER NOT NULL,
    -- The words as they came in were deleted from this block; the mapped fields are still there. The column of
    -- `block` is not used any more.
    raw_gone    INTEGER NOT NULL
) STRICT;

INSERT INTO block_meta (first_seq, last_seq, first_at, last_at, newest_at, received_at, n, raw_gone)
SELECT first_seq, last_seq, first_at, last_at, max(last_at) OVER (ORDER BY first_seq), NULL, n, raw_gone FROM block;

CREATE INDEX block_meta_by_time ON block_meta (newest_at);

-- How many events are stored, and the greatest number that was ever given: kept with every change, because counting
-- takes longer the more there are.
CREATE TABLE event_total (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    n        INTEGER NOT NULL,
    last_seq INTEGER NOT NULL
) STRICT;

INSERT INTO event_total (id, n, last_seq)
SELECT 1, (SELECT coalesce(sum(n), 0) FROM block_meta) + (SELECT count(*) FROM hot),
    max(coalesce((SELECT max(seq) FROM hot), 0), coalesce((SELECT max(last_seq) FROM block_meta), 0),
        coalesce((SELECT through FROM detector), 0));
