-- The store of the observatory: what was heard, added up. No address and no
-- node id is in it. Times are minutes or milliseconds since 1970 (UTC).

-- Records heard in a minute, of each kind, country and torrent.
CREATE TABLE event (
    minute INTEGER NOT NULL,    -- whole minutes since 1970
    kind TEXT NOT NULL,         -- get_peers, announce or resolve
    country TEXT NOT NULL,      -- ISO 3166-1 alpha-2; empty: unknown
    info_hash BLOB NOT NULL,    -- 20 bytes; empty: more torrents than are told apart
    events INTEGER NOT NULL,    -- records
    PRIMARY KEY (minute, kind, country, info_hash)
) WITHOUT ROWID;

-- Records heard in a minute from each place.
CREATE TABLE place (
    minute INTEGER NOT NULL,
    latitude REAL NOT NULL,     -- degrees, as the database of places has them
    longitude REAL NOT NULL,
    country TEXT NOT NULL,      -- ISO 3166-1 alpha-2; empty: unknown
    subdivision TEXT NOT NULL,  -- English name; empty: unknown
    city TEXT NOT NULL,         -- English name; empty: unknown
    events INTEGER NOT NULL,
    PRIMARY KEY (minute, latitude, longitude, country, subdivision, city)
) WITHOUT ROWID;

-- Records heard in a minute from each program.
CREATE TABLE client (
    minute INTEGER NOT NULL,
    client TEXT NOT NULL,       -- first two letters of the version; empty: none or not printable
    events INTEGER NOT NULL,
    PRIMARY KEY (minute, client)
) WITHOUT ROWID;

-- What did not become a record, and what was lost, in a minute.
CREATE TABLE tally (
    minute INTEGER NOT NULL,
    what TEXT NOT NULL,         -- "skipped: ...", "blocked", "lost: ..."
    count INTEGER NOT NULL,
    PRIMARY KEY (minute, what)
) WITHOUT ROWID;

-- Sizes of swarms by BEP 33.
CREATE TABLE swarm (
    at INTEGER NOT NULL,        -- milliseconds since 1970
    info_hash BLOB NOT NULL,
    seeds REAL NOT NULL,        -- estimated addresses that have everything
    peers REAL NOT NULL,        -- estimated addresses of all others
    responders INTEGER NOT NULL,-- nodes that answered with filters
    PRIMARY KEY (at, info_hash)
) WITHOUT ROWID;

-- Sizes of the whole network.
CREATE TABLE network (
    at INTEGER NOT NULL,        -- milliseconds since 1970
    family TEXT NOT NULL,       -- v4 or v6
    nodes REAL NOT NULL,        -- estimated nodes that answer
    low REAL NOT NULL,          -- bounds of the interval of 95 %
    high REAL NOT NULL,
    targets INTEGER NOT NULL,   -- random places that were looked at
    nearest INTEGER NOT NULL,   -- nodes used at each
    PRIMARY KEY (at, family)
) WITHOUT ROWID;

-- Surveys by sample_infohashes (BEP 51).
CREATE TABLE survey (
    at INTEGER NOT NULL,        -- milliseconds since 1970
    family TEXT NOT NULL,       -- v4 or v6
    asked INTEGER NOT NULL,     -- nodes asked for samples
    answered INTEGER NOT NULL,  -- of these, those that gave some
    hashes INTEGER NOT NULL,    -- different torrents in their samples
    known INTEGER NOT NULL,     -- torrents they say they know, added up
    PRIMARY KEY (at, family)
) WITHOUT ROWID;
