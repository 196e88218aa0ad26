-- Schema 1 of a btda result file, and its data dictionary.
--
-- torrent, peer, request and statistic are the tables of 2015: names, order
-- and number of their columns are fixed, their times are Unix seconds (UTC).
-- Every other table is ours; its times are Unix milliseconds (UTC). Unknown is
-- always NULL. No addresses are stored. The comments stand before the
-- statements so that the stored definitions stay plain.

-- torrent: one row per imported torrent
--   id: 1, 2, 3 and so on in order of import
--   announce_url: all tracker URLs joined by commas, the main tracker first; empty if none
--   info_hash: SHA-1 of the info dictionary, 20 raw bytes
--   info_hash_hex: the same as 40 lower-case hexadecimal digits
--   pieces_count: number of pieces
--   piece_size: bytes per piece
--   complete_threshold: pieces from which a peer counts as having the torrent
--   filepath: the file it was imported from
--   display_name: name in the info dictionary
--   gigabyte: pieces_count * piece_size / 10^9
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

-- peer: one row per peer that was evaluated successfully at least once
--   id: in order of the first successful evaluation
--   client: first 8 bytes of the peer id if ASCII, without control characters
--   continent: two-letter code
--   country: ISO 3166-1 alpha-2 code
--   latitude: degrees
--   longitude: degrees
--   first_pieces: pieces at the first evaluation
--   last_pieces: pieces at the latest evaluation; NULL while visits = 1
--   first_seen: time of the first evaluation
--   last_seen: time of the latest evaluation; NULL while visits = 1
--   max_speed: greatest (difference of pieces) / (difference of seconds) between two evaluations at least visit.speed_gap_seconds apart, pieces per second, from millisecond times; may be 0 (also where no two were so far apart) or negative; NULL while visits = 1
--   visits: number of successful evaluations
--   source: how the peer was found first
--   torrent: the torrent it was evaluated for
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

-- request: one row per answered tracker announce, per DHT lookup, and per torrent at every tick for callers
--   id: row number
--   timestamp: when the answer came, or time of the tick
--   source: tracker, dht or incoming
--   received_peers: peers in the answer; for incoming, evaluations of rows with that source stored since the last tick
--   duplicate_peers: of these, already known; for incoming, of callers seen before
--   seeders: scrape of the same round, main tracker only
--   completed: scrape of the same round, main tracker only: downloads registered
--   leechers: scrape of the same round, main tracker only
--   duration_sec: seconds for the announce without the scrape, or for the lookup; NULL for incoming
--   torrent: the torrent asked for
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

-- statistic: one row at the start, at every tick and at the end
--   id: row number
--   timestamp: time of the tick
--   peer_queue: peers waiting for a contact, those waiting for their revisit included
--   visited_queue: records waiting for the writer
--   unique_incoming: rows of table peer with the source incoming so far
--   success_active: successful evaluations of all other rows so far
--   thread_workload: mean share of the time since the last tick in which contact workers were busy, 0 to 1
--   load_average: 15-minute load of the machine
--   memory_mb: peak resident memory, kB / 1000
--   server_threads: callers being evaluated at the tick
--   evaluator_threads: contacts in progress at the tick
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

-- visit: one row per successful evaluation that is part of a peer row
--   id: 1, 2, 3 and so on in the order in which they were stored
--   peer: the peer
--   time_ms: end of the visit
--   pieces: distinct pieces announced
--   messages: messages read in all
--   bitfield: bitfield messages
--   have: have messages
--   have_all: have-all messages (BEP 6)
--   have_none: have-none messages (BEP 6)
--   keep_alive: keep-alives
--   state: choke, unchoke, interested and not-interested messages
--   extended: extension messages (BEP 10)
--   port: port messages (BEP 5)
--   transfer: request, cancel, suggest, reject and allowed-fast messages
--   piece: piece messages, which nobody asked for; one ends the visit
--   unknown: messages of any other kind
--   longest_wait_ms: longest wait for one whole message, rounded; NULL if none came
--   duration_ms: from the start of the first connection to the end of the visit
--   direction: outgoing or incoming
--   transport: what carried it: tcp or utp
--   encryption: how it was encrypted: plain, rc4 or mse-plain (MSE handshake, stream in the clear)
--   ended: how it ended: quiet, message limit, complete, budget, stopped, or the reason that cut it short
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

-- extension_handshake: what a peer told of itself in a visit (BEP 10); no row where no extended handshake came
--   visit: the visit
--   client: name and version of the client, as it names itself
--   listen_port: TCP port on which it says it listens
--   request_queue: requests that it lets wait
--   upload_only: 1 if it wants no more pieces (BEP 21), 0 if it says that it does
--   metadata_size: bytes of the info dictionary, as claimed
--   your_ip: pseudonym of the address at which it sees us: which peers see the same one
CREATE TABLE extension_handshake (
    visit INTEGER PRIMARY KEY REFERENCES visit (id),
    client TEXT,
    listen_port INTEGER,
    request_queue INTEGER,
    upload_only INTEGER,
    metadata_size INTEGER,
    your_ip TEXT
);

-- crossing: each time a peer went from below its torrent's complete_threshold to it or above, between two visits or in one
--   id: row number
--   peer: the peer
--   last_below_ms: when it told for the last time fewer pieces than the threshold; the end of the visit if it told nothing
--   last_below_pieces: pieces told by then
--   first_at_ms: when it told as many or more for the first time
--   first_at_pieces: pieces told by then
CREATE TABLE crossing (
    id INTEGER PRIMARY KEY,
    peer INTEGER NOT NULL REFERENCES peer (id),
    last_below_ms INTEGER NOT NULL,
    last_below_pieces INTEGER NOT NULL,
    first_at_ms INTEGER NOT NULL,
    first_at_pieces INTEGER NOT NULL
);

-- evidence: addresses by the most that they have shown for a torrent, as of the last tick; an address is counted once, in its highest class
--   torrent: the torrent
--   class: listed (named, no connection), answered (a connection, no handshake), handshake (no pieces told), progress seen (pieces told) or crossing seen (a row in crossing)
--   addresses: how many; callers count by their rows
CREATE TABLE evidence (
    torrent INTEGER NOT NULL REFERENCES torrent (id),
    class TEXT NOT NULL,
    addresses INTEGER NOT NULL,
    PRIMARY KEY (torrent, class)
);

-- doubt: peers whose announced pieces are to be doubted
--   peer: the peer
--   reason: always zero (no piece in any of its visits, which are evidence.zero_visits or more and last evidence.zero_seconds or longer) or lost pieces (fewer pieces than at the visit before)
--   since_ms: the first visit of that kind
--   last_ms: the latest
--   times: visits of that kind
--   figure: always zero: of these, visits in which a message told its pieces; lost pieces: the most that were lost at once
CREATE TABLE doubt (
    peer INTEGER NOT NULL REFERENCES peer (id),
    reason TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    times INTEGER NOT NULL,
    figure INTEGER NOT NULL,
    PRIMARY KEY (peer, reason)
);

-- client_behaviour: known clients and ways to announce pieces by which a count is not what a peer has; the same in every run of a version
--   id: row number
--   prefix: beginning of peer.client; empty for any client
--   client: its name
--   behaviour: what it does
--   effect: what that does to a measurement
--   source: where that is known from
CREATE TABLE client_behaviour (
    id INTEGER PRIMARY KEY,
    prefix TEXT NOT NULL,
    client TEXT NOT NULL,
    behaviour TEXT NOT NULL,
    effect TEXT NOT NULL,
    source TEXT NOT NULL
);

-- outcome: attempts since the last tick by outcome; attempts are never taken back
--   id: row number
--   time_ms: time of the tick
--   event: First contact, Later contact or Incoming peer
--   reason: success, or why it failed
--   count: attempts
CREATE TABLE outcome (
    id INTEGER PRIMARY KEY,
    time_ms INTEGER NOT NULL,
    event TEXT NOT NULL,
    reason TEXT NOT NULL,
    count INTEGER NOT NULL
);

-- message: messages received since the last tick by kind, those of failed contacts included
--   id: row number
--   time_ms: time of the tick
--   kind: as the columns of visit; messages is the sum of all
--   count: messages; kinds without any have no row
CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    time_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    count INTEGER NOT NULL
);

-- peer_error: the peer error file as of the last commit; first contacts by the latest reason of each peer
--   event: First contact, Later contact or Incoming peer
--   reason: why
--   count: how often so far
CREATE TABLE peer_error (
    event TEXT NOT NULL,
    reason TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (event, reason)
);

-- tracker_result: the tracker error file as of the last commit
--   torrent: the torrent asked for
--   url: announce URL of the tracker
--   result: announce or scrape, then success or fail
--   reason: empty for a success
--   count: how often so far
CREATE TABLE tracker_result (
    torrent INTEGER NOT NULL REFERENCES torrent (id),
    url TEXT NOT NULL,
    result TEXT NOT NULL,
    reason TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (torrent, url, result, reason)
);

-- announce: what each tracker answered beside the peers
--   request: the row of table request
--   time_ms: when the answer came
--   url: announce URL of the tracker
--   interval: seconds that it wants between announces
--   min_interval: seconds that it demands
--   seeders: complete in the answer
--   leechers: incomplete in the answer
--   warning: its warning message
--   family: 4 or 6, the address family over which it was asked; NULL where a proxy asked, and for found trackers
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

-- found_tracker: trackers that no torrent file names; their answers are in request, announce and tracker_result like those of all others
--   id: row number
--   time_ms: when it was named first
--   torrent: the torrent it was named for
--   url: its announce URL, as named
--   origin: exchange (a peer, BEP 28) or local (the name servers of our own network, BEP 22)
--   asked: 1 if it is asked; 0 if there were too many before it
CREATE TABLE found_tracker (
    id INTEGER PRIMARY KEY,
    time_ms INTEGER NOT NULL,
    torrent INTEGER NOT NULL REFERENCES torrent (id),
    url TEXT NOT NULL,
    origin TEXT NOT NULL,
    asked INTEGER NOT NULL
);

-- scrape: every answered scrape of every tracker
--   id: row number
--   time_ms: when the answer came
--   torrent: the torrent asked for
--   url: announce URL of the tracker
--   seeders: peers with everything
--   completed: downloads registered since the tracker started
--   leechers: peers still loading
CREATE TABLE scrape (
    id INTEGER PRIMARY KEY,
    time_ms INTEGER NOT NULL,
    torrent INTEGER NOT NULL REFERENCES torrent (id),
    url TEXT NOT NULL,
    seeders INTEGER,
    completed INTEGER,
    leechers INTEGER
);

-- peer_ipv6: the peers whose address is an IPv6 address; all others have an IPv4 address
--   peer: the peer
CREATE TABLE peer_ipv6 (
    peer INTEGER PRIMARY KEY REFERENCES peer (id)
);

-- place: what the geolocation database knows of a peer beyond table peer
--   peer: the peer
--   city: English name
--   accuracy_km: radius around the coordinates
CREATE TABLE place (
    peer INTEGER PRIMARY KEY REFERENCES peer (id),
    city TEXT,
    accuracy_km INTEGER
);

-- origin: who named a peer first, where that is none of the words of peer.source; no row for all others
--   peer: the peer
--   origin: pex (another peer; peer.source then tells how that one was found, tracker if it had called) or lsd (an announce in the local network; peer.source is tracker)
CREATE TABLE origin (
    peer INTEGER PRIMARY KEY REFERENCES peer (id),
    origin TEXT NOT NULL
);

-- exchange: peers that others than trackers and the DHT named since the last tick, by torrent; as table request for trackers
--   id: row number
--   time_ms: time of the tick
--   torrent: the torrent
--   origin: pex (another peer, BEP 11) or lsd (an announce in the local network, BEP 14)
--   received_peers: peers named, ourselves and who may not be contacted left out
--   duplicate_peers: of these, already known
CREATE TABLE exchange (
    id INTEGER PRIMARY KEY,
    time_ms INTEGER NOT NULL,
    torrent INTEGER NOT NULL REFERENCES torrent (id),
    origin TEXT NOT NULL,
    received_peers INTEGER NOT NULL,
    duplicate_peers INTEGER NOT NULL
);

-- host: what is kept of the host name of a peer; empty unless hosts.enabled is on
--   peer: the peer
--   time_ms: when the answer came
--   outcome: name, no name, timed out or failed
--   host: last two labels of the name, or its only one; a label that could spell out the address is #
--   domain: registrable domain by the public suffix list, of registries only; NULL if the name has none
CREATE TABLE host (
    peer INTEGER PRIMARY KEY REFERENCES peer (id),
    time_ms INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    host TEXT,
    domain TEXT
);

-- input: every file considered for import
--   id: row number
--   path: as found
--   sha1: SHA-1 of the whole file, hexadecimal; NULL if unreadable
--   torrent: the torrent it became or was merged into
--   note: why it was skipped, or what was odd about it
CREATE TABLE input (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL,
    sha1 TEXT,
    torrent INTEGER REFERENCES torrent (id),
    note TEXT
);

-- run: the manifest, also written as <stem>_run.json
--   key: name of the fact: version, method, configuration, host, start, stop, ended, schema_version, state and others
--   value: its value
CREATE TABLE run (
    key TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
);
