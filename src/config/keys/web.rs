//! The keys of the web page (`btda serve`, and `--web` on a run).

use super::{Key, Kind, Value, integer, registry, text};

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
}
