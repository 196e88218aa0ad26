CREATE TABLE torrent (
    id INTEGER PRIMARY KEY,
    announce_url TEXT NOT NULL,
    info_hash BLOB NOT NULL,
    info_hash_hex TEXT NOT NULL,
    pieces_count INTEGER NOT NULL,
    piece_size INTEGER NOT NULL,
    complete_threshold INTEGER NOT NULL,
    filepath TEXT NOT NULL,
    display_name TEXT,
    gigabyte REAL NOT NULL,
    CHECK (pieces_count >= 1)
);
CREATE TABLE peer (
    id INTEGER PRIMARY KEY,
    client TEXT,
    continent TEXT,
    country TEXT,
    latitude REAL,
    longitude REAL,
    first_pieces INTEGER NOT NULL,
    last_pieces INTEGER,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER,
    max_speed REAL,
    visits INTEGER NOT NULL,
    source VARCHAR(8) NOT NULL,
    torrent INTEGER NOT NULL REFERENCES torrent (id),
    CHECK (source IN ('tracker', 'incoming', 'dht')),
    CHECK (visits >= 1)
);
CREATE TABLE request (
    id INTEGER PRIMARY KEY,
    timestamp INTEGER NOT NULL,
    source VARCHAR(8) NOT NULL,
    received_peers INTEGER NOT NULL,
    duplicate_peers INTEGER NOT NULL,
    seeders INTEGER,
    completed INTEGER,
    leechers INTEGER,
    duration_sec REAL,
    torrent INTEGER NOT NULL REFERENCES torrent (id),
    CHECK (source IN ('tracker', 'incoming', 'dht'))
);
CREATE TABLE statistic (
    id INTEGER PRIMARY KEY,
    timestamp INTEGER NOT NULL,
    peer_queue INTEGER NOT NULL,
    visited_queue INTEGER NOT NULL,
    unique_incoming INTEGER NOT NULL,
    success_active INTEGER NOT NULL,
    thread_workload REAL,
    load_average REAL,
    memory_mb REAL,
    server_threads INTEGER NOT NULL,
    evaluator_threads INTEGER NOT NULL
);
CREATE TABLE visit (
    id INTEGER PRIMARY KEY,
    peer INTEGER NOT NULL REFERENCES peer (id),
    time_ms INTEGER NOT NULL,
    pieces INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    bitfield INTEGER NOT NULL,
    have INTEGER NOT NULL,
    have_all INTEGER NOT NULL,
    have_none INTEGER NOT NULL,
    keep_alive INTEGER NOT NULL,
    state INTEGER NOT NULL,
    extended INTEGER NOT NULL,
    port INTEGER NOT NULL,
    transfer INTEGER NOT NULL,
    piece INTEGER NOT NULL,
    unknown INTEGER NOT NULL,
    longest_wait_ms INTEGER,
    duration_ms INTEGER NOT NULL,
    direction TEXT NOT NULL,
    transport TEXT NOT NULL,
    encryption TEXT NOT NULL,
    ended TEXT NOT NULL
);
CREATE TABLE extension_handshake (
    visit INTEGER PRIMARY KEY REFERENCES visit (id),
    client TEXT,
    listen_port INTEGER,
    request_queue INTEGER,
    upload_only INTEGER,
    metadata_size INTEGER,
    your_ip TEXT
);
CREATE TABLE crossing (
    id INTEGER PRIMARY KEY,
    peer INTEGER NOT NULL REFERENCES peer (id),
    last_below_ms INTEGER NOT NULL,
    last_below_pieces INTEGER NOT NULL,
    first_at_ms INTEGER NOT NULL,
    first_at_pieces INTEGER NOT NULL
);
CREATE TABLE evidence (
    torrent INTEGER NOT NULL REFERENCES torrent (id),
    class TEXT NOT NULL,
    addresses INTEGER NOT NULL,
    PRIMARY KEY (torrent, class)
);
CREATE TABLE doubt (
    peer INTEGER NOT NULL REFERENCES peer (id),
    reason TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    times INTEGER NOT NULL,
    figure INTEGER NOT NULL,
    PRIMARY KEY (peer, reason)
);
CREATE TABLE client_behaviour (
    id INTEGER PRIMARY KEY,
    prefix TEXT NOT NULL,
    client TEXT NOT NULL,
    behaviour TEXT NOT NULL,
    effect TEXT NOT NULL,
    source TEXT NOT NULL
);
CREATE TABLE outcome (
    id INTEGER PRIMARY KEY,
    time_ms INTEGER NOT NULL,
    event TEXT NOT NULL,
    reason TEXT NOT NULL,
    count INTEGER NOT NULL
);
CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    time_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    count INTEGER NOT NULL
);
CREATE TABLE peer_error (
    event TEXT NOT NULL,
    reason TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (event, reason)
);
CREATE TABLE tracker_result (
    torrent INTEGER NOT NULL REFERENCES torrent (id),
    url TEXT NOT NULL,
    result TEXT NOT NULL,
    reason TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (torrent, url, result, reason)
);
CREATE TABLE announce (
    request INTEGER PRIMARY KEY REFERENCES request (id),
    time_ms INTEGER NOT NULL,
    url TEXT NOT NULL,
    interval INTEGER,
    min_interval INTEGER,
    seeders INTEGER,
    leechers INTEGER,
    warning TEXT,
    family INTEGER
);
CREATE TABLE found_tracker (
    id INTEGER PRIMARY KEY,
    time_ms INTEGER NOT NULL,
    torrent INTEGER NOT NULL REFERENCES torrent (id),
    url TEXT NOT NULL,
    origin TEXT NOT NULL,
    asked INTEGER NOT NULL
);
CREATE TABLE scrape (
    id INTEGER PRIMARY KEY,
    time_ms INTEGER NOT NULL,
    torrent INTEGER NOT NULL REFERENCES torrent (id),
    url TEXT NOT NULL,
    seeders INTEGER,
    completed INTEGER,
    leechers INTEGER
);
CREATE TABLE peer_ipv6 (
    peer INTEGER PRIMARY KEY REFERENCES peer (id)
);
CREATE TABLE place (
    peer INTEGER PRIMARY KEY REFERENCES peer (id),
    city TEXT,
    accuracy_km INTEGER
);
CREATE TABLE origin (
    peer INTEGER PRIMARY KEY REFERENCES peer (id),
    origin TEXT NOT NULL
);
CREATE TABLE exchange (
    id INTEGER PRIMARY KEY,
    time_ms INTEGER NOT NULL,
    torrent INTEGER NOT NULL REFERENCES torrent (id),
    origin TEXT NOT NULL,
    received_peers INTEGER NOT NULL,
    duplicate_peers INTEGER NOT NULL
);
CREATE TABLE host (
    peer INTEGER PRIMARY KEY REFERENCES peer (id),
    time_ms INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    host TEXT,
    domain TEXT
);
CREATE TABLE input (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL,
    sha1 TEXT,
    torrent INTEGER REFERENCES torrent (id),
    note TEXT
);
CREATE TABLE run (
    key TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
);
