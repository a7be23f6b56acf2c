-- The filters of up to 1024 blocks, turned: a row holds the same few bits of all of them, so that a search for a word
-- reads a handful of rows for a thousand blocks.
CREATE TABLE filter_group (
    id        INTEGER PRIMARY KEY,
    -- The first_seq of its first and of its last block.
    first_seq INTEGER NOT NULL UNIQUE,
    last_seq  INTEGER NOT NULL,
    -- What its blocks held when it was made: less is left of them later, and never more.
    first_at  INTEGER NOT NULL,
    last_at   INTEGER NOT NULL,
    n         INTEGER NOT NULL,
    -- Bits of a segment.
    bits      INTEGER NOT NULL
) STRICT;

-- id: the group, the segment and which bits these are (store::events::groups).
CREATE TABLE filter_slice (
    id   INTEGER PRIMARY KEY,
    bits BLOB NOT NULL
) STRICT;

-- Where a block's filter lies in a group: group * 1024 + place. NULL: its rows in bloom are its filter.
ALTER TABLE block_meta ADD COLUMN filter_at INTEGER;

CREATE INDEX block_meta_by_filter ON block_meta (filter_at, first_seq);

-- Places of blocks that are not what they were: what their filters said is still to be overwritten.
CREATE TABLE filter_stale (
    filter_at INTEGER PRIMARY KEY
) STRICT;
