//! The keys that 2015 did not have, in their tables.

use super::{Key, Kind, Value, integer, number, registry, seconds, text};

registry! {
    /// corrected: the faults of 2015 put right. 2015: measures as the thesis
    /// did, by other defaults for `visit.finish_when_complete`,
    /// `run.identity`, `visit.speed_gap_seconds`, `visit.fast_extension`,
    /// `visit.extension_protocol`, `visit.keep_partial`, `visit.ignore_malformed`,
    /// `visit.encryption`, `visit.transport`, `revisit.mode`, `retry.enabled`,
    /// `contact.ipv6` and `listen.ipv6`; where one of these is written down, the
    /// written value wins.
    METHOD: "run.method",
        Kind::Choice(&["corrected", "2015"]), text("corrected"), "own choice";
    /// Who a caller is. extended: an address with the port on which it says it
    /// listens (BEP 10), else with its peer id; it is called back there, and is
    /// the same peer as one that was contacted there. 2015: an address, whoever
    /// is behind it; it is never called back, and turned away once its address
    /// was contacted.
    IDENTITY: "run.identity",
        Kind::Choice(&["extended", "2015"]), text("extended"), "own choice: many peers share one address";
    /// Time after which the run stops by itself; 0 = when it is told to.
    DURATION_SECONDS: "run.duration_seconds",
        seconds(0.0, 315_360_000.0), Value::Number(0.0), "2015 program: until stopped";

    /// Longest time for a whole visit, whatever the peer sends. A safety
    /// limit, not part of the method; at least `network_timeout`.
    BUDGET_SECONDS: "visit.budget_seconds",
        seconds(0.1, 86_400.0), Value::Number(60.0), "own choice: ten times network_timeout";
    /// Lets a peer go as soon as it has told that it has everything.
    FINISH_WHEN_COMPLETE: "visit.finish_when_complete",
        Kind::Flag, Value::Flag(true), "own choice: nothing more can be learnt";
    /// Least time between two visits that make a speed (`max_speed`). 0: every
    /// two visits do, as if they were a second apart at least.
    SPEED_GAP_SECONDS: "visit.speed_gap_seconds",
        seconds(0.0, 86_400.0), Value::Number(60.0), "own choice: a visit lasts network_timeout, a tenth of it";
    /// Announces the fast extension (BEP 6) and understands have all and have
    /// none.
    FAST_EXTENSION: "visit.fast_extension",
        Kind::Flag, Value::Flag(true), "BEP 6: without it, new clients announce piece by piece";
    /// Speaks the extension protocol (BEP 10): peers tell their client, where
    /// they listen and which pieces they lost (BEP 54).
    EXTENSION_PROTOCOL: "visit.extension_protocol",
        Kind::Flag, Value::Flag(true), "BEP 10: nearly all clients speak it";
    /// Takes the peers that others name by peer exchange (BEP 11), but for
    /// private torrents; needs `visit.extension_protocol`. We name nobody.
    PEER_EXCHANGE: "visit.peer_exchange",
        Kind::Flag, Value::Flag(true), "own choice: some peers are known only so";
    /// How long a peer that has everything may take to name others, before it
    /// is let go.
    EXCHANGE_WAIT_SECONDS: "visit.exchange_wait_seconds",
        seconds(0.1, 3600.0), Value::Number(2.0), "own choice: clients do so in their first second";
    /// Counts what was read before a failure after the handshake.
    KEEP_PARTIAL: "visit.keep_partial",
        Kind::Flag, Value::Flag(true), "own choice";
    /// Overlooks a wrong bitfield or have message; otherwise it ends the
    /// visit.
    IGNORE_MALFORMED: "visit.ignore_malformed",
        Kind::Flag, Value::Flag(false), "own choice";
    /// Message stream encryption (MSE/PE) with peers that we call, and callers.
    /// `prefer_plain`: in the clear, and encrypted when the peer closes before its
    /// handshake. `prefer_encrypted`: the other way round. plain, encrypted: only
    /// so. Payload is never exchanged, so this is about reach, not secrecy.
    ENCRYPTION: "visit.encryption",
        Kind::Choice(&["prefer_plain", "prefer_encrypted", "plain", "encrypted"]),
        text("prefer_plain"), "own choice: reaches both, and costs least";
    /// What carries visits. `prefer_tcp`: TCP, and uTP (over UDP) when that leads to
    /// no handshake. `prefer_utp`: the other way round. tcp, utp: only so. The second
    /// one is waited for half as long. Callers are heard over TCP, and unless this
    /// is tcp also over uTP, at the same port number.
    TRANSPORT: "visit.transport",
        Kind::Choice(&["prefer_tcp", "prefer_utp", "tcp", "utp"]),
        text("prefer_tcp"), "own choice: reaches both";

    /// When an unfinished peer is visited again. fixed: after
    /// `peer_revisit_delay`, as in 2015. adaptive: sooner when its progress lets
    /// expect that it reaches the threshold before, or when its speed is not
    /// known yet; later while it makes no progress.
    REVISIT_MODE: "revisit.mode",
        Kind::Choice(&["adaptive", "fixed"]), text("adaptive"), "own choice: narrower crossings";
    /// Shortest time between two visits by plan; at most `peer_revisit_delay`
    /// counts.
    SOONEST_SECONDS: "revisit.soonest_seconds",
        seconds(0.1, 604_800.0), Value::Number(30.0), "own choice: a tenth of peer_revisit_delay";
    /// Longest time between two visits by plan; at least `peer_revisit_delay`
    /// counts.
    LATEST_SECONDS: "revisit.latest_seconds",
        seconds(0.1, 604_800.0), Value::Number(900.0), "own choice: three times peer_revisit_delay";
    /// Revisits a second, on average, that come sooner than
    /// `peer_revisit_delay`; beyond, they come after that time.
    EARLY_PER_SECOND_MAX: "revisit.early_per_second_max",
        number(0.01, 1_000_000.0), Value::Number(20.0), "own choice: ten times the revisits of the thesis";
    /// What happens to a peer that is soon to reach the threshold. visit: it is
    /// visited again like any other. stay: the visit goes on until it has told that
    /// it is there; nothing is requested.
    OBSERVE: "revisit.observe",
        Kind::Choice(&["visit", "stay"]), text("visit"), "2015 program";
    /// Peers that are stayed with at one time, each on a thread beside
    /// `peer_evaluation_threads`. For more there are visits.
    OBSERVE_THREADS: "revisit.observe_threads",
        integer(1, 32_768), Value::Integer(128), "own choice: an eighth of peer_evaluation_threads";
    /// A peer is stayed with when its speed lets expect that it reaches the
    /// threshold within this time.
    STAY_WITHIN_SECONDS: "revisit.stay_within_seconds",
        seconds(0.1, 86_400.0), Value::Number(300.0), "own choice: peer_revisit_delay";
    /// Longest stay.
    STAY_SECONDS_MAX: "revisit.stay_seconds_max",
        seconds(0.1, 86_400.0), Value::Number(900.0), "own choice: three times stay_within_seconds";
    /// How long a client may take to tell a piece that it has: what one that is
    /// stayed with had not told, it had not so long before. One that takes longer
    /// than a second is visited again and again instead (looks, with mode
    /// adaptive). 0: as measured of the client, 11 where it is not known.
    HAVE_DELAY_SECONDS: "revisit.have_delay_seconds",
        seconds(0.0, 3600.0), Value::Number(0.0), "own choice";

    /// Visits a peer again after a failure; otherwise the first failure drops
    /// it for the whole run.
    RETRY_ENABLED: "retry.enabled",
        Kind::Flag, Value::Flag(true), "own choice";
    /// Time to the next try after the first failure.
    FIRST_DELAY_SECONDS: "retry.first_delay_seconds",
        seconds(0.1, 604_800.0), Value::Number(600.0), "own choice: twice peer_revisit_delay";
    /// The same for a peer that was evaluated before.
    TRACKED_DELAY_SECONDS: "retry.tracked_delay_seconds",
        seconds(0.1, 604_800.0), Value::Number(120.0), "own choice: not to miss its threshold";
    /// Growth of that time from failure to failure.
    FACTOR: "retry.factor",
        number(1.0, 100.0), Value::Number(2.0), "own choice";
    /// Longest time to the next try; at least the two first delays.
    MAX_DELAY_SECONDS: "retry.max_delay_seconds",
        seconds(0.1, 2_592_000.0), Value::Number(7200.0), "own choice";
    /// Failures in a row after which a peer is given up.
    ATTEMPTS: "retry.attempts",
        integer(1, 255), Value::Integer(6), "own choice: four and a half hours";
    /// The same for a peer that was evaluated before.
    TRACKED_ATTEMPTS: "retry.tracked_attempts",
        integer(1, 255), Value::Integer(20), "own choice: more than a day";

    /// Contacts that begin in one second at most, magnet links apart; 0 = no
    /// limit. What comes faster waits and is counted. Each connection of a
    /// contact behind its first (uTP, encryption) counts as one more.
    PER_SECOND_MAX: "contact.per_second_max",
        number(0.0, 1_000_000.0), Value::Number(500.0), "own choice: far above a study of the thesis's size";
    /// Of these, to one network: a /24 of IPv4 or a /48 of IPv6; 0 = no limit.
    PER_SECOND_NETWORK_MAX: "contact.per_second_network_max",
        number(0.0, 1_000_000.0), Value::Number(10.0), "own choice: polite";
    /// Of these, for one torrent; 0 = no limit.
    PER_SECOND_TORRENT_MAX: "contact.per_second_torrent_max",
        number(0.0, 1_000_000.0), Value::Number(200.0), "own choice: polite";
    /// Peers taken for one torrent in a run, whoever names them; those beyond
    /// are turned away and counted. Each takes memory to the end of the run.
    PEERS_PER_TORRENT_MAX: "contact.peers_per_torrent_max",
        integer(1, 100_000_000), Value::Integer(1_000_000), "own choice: generous";
    /// File with addresses and networks that are never contacted and whose
    /// callers are turned away, one a line, as 192.0.2.0/24 or `2001:db8::/32`;
    /// # begins a comment. Relative to `input_path`; empty: none.
    OPT_OUT_FILE: "contact.opt_out_file",
        Kind::OptionalPath, text(""), "own choice";
    /// Contacts loopback, private and other reserved addresses too: for
    /// practice swarms and tests, and peers in your own network.
    CONTACT_ALLOW_PRIVATE: "contact.allow_private",
        Kind::Flag, Value::Flag(false), "own choice: nobody on the internet is there";
    /// Contacts peers at IPv6 addresses too (BEP 7). Without it they are turned
    /// away when they are named, and counted.
    CONTACT_IPV6: "contact.ipv6",
        Kind::Flag, Value::Flag(true), "own choice: some peers have no other address";

    /// Address to listen at.
    LISTEN_ADDRESS: "listen.address",
        Kind::Address, text("0.0.0.0"), "2015 program: all IPv4 addresses";
    /// Listens at all IPv6 addresses too, on the same port, where `listen.address`
    /// is all of IPv4.
    LISTEN_IPV6: "listen.ipv6",
        Kind::Flag, Value::Flag(true), "own choice: 2015 had no IPv6";
    /// Callers that are evaluated at one time; more are refused and counted.
    CALLERS_MAX: "listen.callers_max",
        integer(1, 65_536), Value::Integer(4096), "own choice";
    /// Of these, from one address.
    CALLERS_PER_ADDRESS_MAX: "listen.callers_per_address_max",
        integer(1, 65_536), Value::Integer(64), "own choice: many peers share one address";

    /// Peers to ask a tracker for; 0 leaves it to the tracker.
    NUM_WANT: "tracker.num_want",
        integer(0, 10_000), Value::Integer(0), "2015 program (BEP 15: -1)";
    /// Port of a UDP tracker whose URL has none.
    UDP_DEFAULT_PORT: "tracker.udp_default_port",
        integer(1, 65_535), Value::Integer(80), "2015 program";
    /// Largest answer of an HTTP tracker in bytes, after decompression.
    BODY_LIMIT_BYTES: "tracker.body_limit_bytes",
        integer(1024, 268_435_456), Value::Integer(2_097_152), "own choice: some 300,000 peers";
    /// HTTP redirects that are followed in one request.
    REDIRECTS_MAX: "tracker.redirects_max",
        integer(0, 20), Value::Integer(5), "own choice";
    /// Whether to ask trackers for their figures (BEP 48 and 15).
    SCRAPE: "tracker.scrape",
        Kind::Flag, Value::Flag(true), "2015 program";
    /// Announces over IPv6 beside IPv4 to a tracker whose name has addresses of
    /// both (BEP 7), where this machine has a way to both: it may name other peers
    /// there. Figures are asked for once. Behind a proxy: only over UDP.
    TRACKER_IPV6: "tracker.ipv6",
        Kind::Flag, Value::Flag(true), "own choice: 2015 had no IPv6";

    /// Asks the trackers that peers name (tracker exchange, BEP 28), but for
    /// private torrents: four for each torrent and 64 in all at most, none by an
    /// IP address, and none at a reserved one without `contact.allow_private`.
    /// Needs `visit.extension_protocol`.
    TRACKER_EXCHANGE: "tracker.exchange",
        Kind::Flag, Value::Flag(false), "own choice: strangers say whom we ask";

    /// Asks the name servers (`hosts.servers`) for trackers of the network that we
    /// are in (local tracker discovery, BEP 22), and these for peers, but not of
    /// private torrents; within the limits of `tracker.exchange`.
    LOCAL_DISCOVERY: "tracker.local_discovery",
        Kind::Flag, Value::Flag(false), "BEP 22: may be off";

    /// The DHT node that `-d` uses. pymdht: one that runs beside us. own: a
    /// node of our own. auto: pymdht if its control port answers at the start,
    /// else our own.
    DHT_BACKEND: "dht.backend",
        Kind::Choice(&["auto", "pymdht", "own"]), text("auto"), "own choice";
    /// Longest time of one lookup.
    DHT_LOOKUP_TIMEOUT_SECONDS: "dht.lookup_timeout_seconds",
        seconds(0.1, 1800.0), Value::Number(60.0), "own choice: 2015 waited for ever";
    /// Where our own node binds IPv6, with the port of IPv4; empty is IPv4 only.
    /// A machine without IPv6 does without.
    DHT_ADDRESS6: "dht.address6",
        Kind::OptionalAddress6, text("::"), "own choice: all IPv6 addresses";
    /// Nodes through which our own node finds the others.
    DHT_BOOTSTRAP: "dht.bootstrap",
        Kind::Hosts,
        text("router.bittorrent.com:6881 dht.transmissionbt.com:6881 router.utorrent.com:6881 dht.libtorrent.org:25401"),
        "well-known nodes";
    /// Queries that our own node sends a second, on average.
    DHT_PACKETS_PER_SECOND: "dht.packets_per_second",
        integer(1, 10_000), Value::Integer(50), "own choice: polite";
    /// Keeps the routing table of our own node in the output folder from run
    /// to run. It holds addresses of other nodes.
    DHT_SAVE_NODES: "dht.save_nodes",
        Kind::Flag, Value::Flag(false), "own choice: addresses are personal data";
    /// Lets our own node deal with loopback and other local addresses: for
    /// tests and practice swarms.
    DHT_ALLOW_PRIVATE: "dht.allow_private",
        Kind::Flag, Value::Flag(false), "own choice";

    /// Takes the peers that announce themselves in our own network by multicast
    /// (local service discovery, BEP 14), and announces us there with `-p`; never
    /// for private torrents. Peers with private addresses need
    /// `contact.allow_private`.
    LSD_ENABLED: "lsd.enabled",
        Kind::Flag, Value::Flag(false), "own choice: it tells neighbours what is measured";

    /// `MaxMind` database of places (`GeoIP2` or `GeoLite2` City or Country, or the
    /// flat schema), relative to `input_path`. Without it, places stay unknown.
    GEOLOCATION_DATABASE: "storage.geolocation_database",
        Kind::OptionalPath, text("GeoLite2-City.mmdb"), "2015 program";
    /// Rows in one transaction at most.
    BATCH_ROWS: "storage.batch_rows",
        integer(1, 100_000), Value::Integer(500), "own measurement";
    /// Longest time between two transactions.
    BATCH_INTERVAL_SECONDS: "storage.batch_interval_seconds",
        seconds(0.01, 60.0), Value::Number(1.0), "own choice: a crash loses no more";
    /// Records that wait for the writer at most; when it is full, measuring
    /// waits and nothing is lost.
    QUEUE_LENGTH: "storage.queue_length",
        integer(1, 10_000_000), Value::Integer(65_536), "own choice";
    /// Rows kept in memory while the database takes none (disk full, locked by
    /// another program); those beyond go to a spool file beside the database
    /// and from there into it when it works again.
    MEMORY_ROWS: "storage.memory_rows",
        integer(1, 10_000_000), Value::Integer(200_000), "own choice: some 60 MB";
    /// Second place for spool files, when the output folder cannot be written;
    /// best on another disk. Empty: the system's folder for temporary files,
    /// which on some systems is memory.
    SPOOL_FOLDER: "storage.spool_folder",
        Kind::OptionalPath, text(""), "own choice";
    /// Size of all spool files together at most. Rows beyond are lost, and
    /// each is in the log.
    SPOOL_MAX_BYTES: "storage.spool_max_bytes",
        integer(0, 1_099_511_627_776), Value::Integer(1_073_741_824), "own choice: some five million rows";
    /// Line of the calibration: the share of visits whose longest wait is
    /// below.
    CALIBRATION_CUT_SECONDS: "storage.calibration_cut_seconds",
        seconds(0.1, 3600.0), Value::Number(6.0), "2015 program";

    /// Visits without a piece from which on a peer is doubted (table `doubt`),
    /// while it never told one.
    ZERO_VISITS: "evidence.zero_visits",
        integer(2, 1_000_000), Value::Integer(6), "own choice: two would be a slow start";
    /// The time over which they must spread.
    ZERO_SECONDS: "evidence.zero_seconds",
        seconds(0.0, 31_536_000.0), Value::Number(21_600.0), "own choice: six hours";

    /// Lets addresses into the log. Otherwise peers have pseudonyms, and
    /// whatever looks like an address is replaced.
    LOG_ADDRESSES: "privacy.log_addresses",
        Kind::Flag, Value::Flag(false), "own choice: addresses are personal data";

    /// Looks up the host names of peers (reverse DNS) while measuring. Of a name
    /// only the last two labels and the registrable domain are stored, for the
    /// rest often spells out the address. The name servers learn the addresses.
    HOSTS_ENABLED: "hosts.enabled",
        Kind::Flag, Value::Flag(false), "own choice: name servers learn of the peers";
    /// Name servers that are asked, at most three; empty: those of the system
    /// (/etc/resolv.conf).
    HOSTS_SERVERS: "hosts.servers",
        Kind::Hosts, text(""), "own choice";
    /// Names asked for a second.
    HOSTS_QUERIES_PER_SECOND: "hosts.queries_per_second",
        integer(1, 10_000), Value::Integer(20), "own choice: polite";
    /// Longest wait for an answer; each name is asked for twice at most.
    HOSTS_TIMEOUT_SECONDS: "hosts.timeout_seconds",
        seconds(0.01, 60.0), Value::Number(5.0), "resolv.conf(5)";

    /// Least important messages that are logged.
    LOG_LEVEL: "log.level",
        Kind::Choice(&["trace", "debug", "info", "warning", "error"]), text("warning"), "2015 program";
}
