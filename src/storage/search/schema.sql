-- The search index of the observatory: one row for each resolved torrent. In
-- a file of its own, since the combine step of 2015 fails on virtual tables.

CREATE TABLE torrent (
    id INTEGER PRIMARY KEY,
    info_hash BLOB NOT NULL UNIQUE, -- 20 bytes
    name TEXT NOT NULL,
    files INTEGER NOT NULL,         -- number of files
    size INTEGER NOT NULL,          -- bytes of all files
    at INTEGER NOT NULL,            -- when it was resolved, milliseconds since 1970
    kinds INTEGER NOT NULL,         -- bits: 1 image, 2 video, 4 audio, 8 book, 16 archive, 32 PDF, 64 other
    country TEXT NOT NULL,          -- of the first source: ISO 3166-1 alpha-2; empty: unknown
    country_name TEXT NOT NULL,     -- English; empty: unknown
    subdivision TEXT NOT NULL,
    city TEXT NOT NULL,
    latitude REAL,                  -- degrees; NULL: unknown
    longitude REAL
);

-- Words of names and paths; its rowid is torrent.id. The texts themselves are
-- not kept twice.
CREATE VIRTUAL TABLE words USING fts5(
    name, paths,
    content = '', contentless_delete = 1,
    tokenize = 'unicode61 remove_diacritics 2'
);
INSERT INTO words (words, rank) VALUES ('rank', 'bm25(10.0, 1.0)');
