//! The keys of the web page (`btda serve`, and `--web` on a run).

use super::{Key, Kind, Value, integer, registry, seconds, text};

registry! {
    /// Where the page is served, as 127.0.0.1:5000; port 0 lets the system
    /// choose. Empty: a run has no page, and `btda serve` uses 127.0.0.1:5000. Any
    /// address but a loopback address demands `web.token_file`.
    WEB_ADDRESS: "web.address",
        Kind::OptionalSocket, text(""), "own choice: port of the Torrent Peer Tracker, but this machine only";
    /// File whose first line is the token of the page, 16 characters or more: asked
    /// for once by browsers, sent as Authorization: Bearer by programs. Empty:
    /// whoever reaches the page may use it.
    WEB_TOKEN_FILE: "web.token_file",
        Kind::OptionalPath, text(""), "own choice: a token in a key would be stored with the results";
    /// Names under which browsers reach the page beside its address, each with
    /// its port. Requests for any other name are refused (DNS rebinding).
    WEB_HOST_NAMES: "web.host_names",
        Kind::Hosts, text(""), "own choice";
    /// Connections to the page at most. One that asks for nothing makes room for
    /// a new one.
    WEB_CONNECTIONS_MAX: "web.connections_max",
        integer(1, 4096), Value::Integer(256), "own choice";
    /// Of these, from one address (IPv6: from one /64 network).
    WEB_CONNECTIONS_PER_ADDRESS_MAX: "web.connections_per_address_max",
        integer(1, 4096), Value::Integer(32), "own choice: a browser opens six";
    /// Trackings that one address may ask for in a minute.
    WEB_TRACK_PER_MINUTE: "web.track_per_minute",
        integer(1, 10_000), Value::Integer(20), "own choice: more than a person asks for";
    /// Lets the page ask trackers at loopback, private and other reserved
    /// addresses, also by redirects. For a lab; whoever uses the page can then
    /// reach what only this machine reaches.
    WEB_ALLOW_PRIVATE: "web.allow_private",
        Kind::Flag, Value::Flag(false), "own choice";
    /// Lets whoever uses the page look torrents up in the DHT, beside a tracker
    /// or without one. `btda serve` starts a node of its own for the first
    /// look-up; the page of a run asks the node of the run, if that has one (-d).
    WEB_DHT: "web.dht",
        Kind::Flag, Value::Flag(true), "own choice: a magnet link often has nothing else";
    /// Peers of a swarm that whoever uses the page can have visited at one time,
    /// within the limits of `[contact]`; 0 = none.
    WEB_VISITS_MAX: "web.visits_max",
        integer(0, 1000), Value::Integer(200), "own choice: trackers name as many";
    /// Stores the addresses of tracked peers in the history, as the Torrent Peer
    /// Tracker did. Otherwise it has pseudonyms, which change with every start;
    /// exports have what is stored.
    WEB_STORE_ADDRESSES: "web.store_addresses",
        Kind::Flag, Value::Flag(false), "own choice: addresses are personal data";
    /// Entries of the history (`track_history.db` in `output_path`) at most;
    /// the oldest go.
    WEB_HISTORY_ENTRIES_MAX: "web.history_entries_max",
        integer(1, 10_000_000), Value::Integer(10_000), "own choice: some 100 MB";
    /// Age at which an entry of the history goes; 0 = never.
    WEB_HISTORY_KEEP_SECONDS: "web.history_keep_seconds",
        seconds(0.0, 3_153_600_000.0), Value::Number(7_776_000.0), "own choice: 90 days";
}
