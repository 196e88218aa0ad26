//! The 21 keys of 2015, at top level under their old names, and
//! `ignore_interval`.

use super::{Key, Kind, Value, integer, number, registry, seconds, text};

registry! {
    /// Worker threads that contact peers. The program uses fewer where the
    /// system cannot give as many, and says so.
    PEER_EVALUATION_THREADS: "peer_evaluation_threads",
        integer(1, 32_768), Value::Integer(1024), "2015 program";
    /// What trackers are told: share of the torrent that was downloaded.
    /// Nothing is ever downloaded.
    FAKE_DOWNLOADED_STAT: "fake_downloaded_stat",
        number(0.0, 1.0), Value::Number(0.5), "2015 program";
    /// What trackers are told: share of the torrent that is left. A figure
    /// above 0 makes us a leecher, to whom trackers name seeders too.
    FAKE_LEFT_STAT: "fake_left_stat",
        number(0.0, 1.0), Value::Number(0.5), "2015 program";
    /// What trackers are told: uploaded share of the torrent. Nothing is ever
    /// uploaded.
    FAKE_UPLOADED_STAT: "fake_uploaded_stat",
        number(0.0, 1000.0), Value::Number(0.2), "2015 program";
    /// Share of the pieces at which a peer counts as having the torrent; from
    /// there on it is not visited any more. The evaluation may use the same or
    /// a lower threshold, never a higher one.
    TORRENT_COMPLETE_THRESHOLD: "torrent_complete_threshold",
        Kind::Share, Value::Number(0.98), "2015 program";
    /// Longest wait for every network operation. In a visit it starts again
    /// after each message, and its end ends the visit.
    NETWORK_TIMEOUT: "network_timeout",
        seconds(0.1, 3600.0), Value::Number(6.0), "timeout calibration of the thesis";
    /// UDP port of the DHT node, of pymdht or of our own, told to peers in
    /// port messages.
    DHT_NODE_PORT: "dht_node_port",
        integer(1, 65_535), Value::Integer(17_000), "2015 program";
    /// Control port (telnet) of the pymdht node on this machine.
    DHT_CONTROL_PORT: "dht_control_port",
        integer(1, 65_535), Value::Integer(17_001), "2015 program";
    /// Time between two DHT lookups of one torrent.
    DHT_REQUEST_INTERVAL: "dht_request_interval",
        seconds(0.1, 604_800.0), Value::Number(300.0), "2015 program";
    /// Wished time between two rounds of a torrent's trackers. A tracker that
    /// wants a longer time gets it, see `ignore_interval`.
    TRACKER_REQUEST_INTERVAL: "tracker_request_interval",
        seconds(0.1, 604_800.0), Value::Number(300.0), "2015 program";
    /// Time after which an unfinished peer is visited again.
    PEER_REVISIT_DELAY: "peer_revisit_delay",
        seconds(0.1, 604_800.0), Value::Number(300.0), "2015 program";
    /// Messages read in one visit at most.
    RECEIVE_MESSAGE_MAX: "receive_message_max",
        integer(1, 1_000_000), Value::Integer(256), "2015 program";
    /// Characters of a received message that a log line shows at most.
    BITTORRENT_MESSAGE_LOG_LENGTH: "bittorrent_message_log_length",
        integer(0, 65_536), Value::Integer(80), "2015 program";
    /// Our number for the extension message `ut_metadata` (BEP 10), by which
    /// peers give the metadata of magnet links.
    EXTENSION_UT_METADATA_ID: "extension_ut_metadata_id",
        integer(1, 255), Value::Integer(4), "2015 program";
    /// TCP port for callers, also told to trackers; 0 lets the system choose.
    /// Change it between studies: peers of earlier torrents keep calling.
    BITTORRENT_LISTEN_PORT: "bittorrent_listen_port",
        integer(0, 65_535), Value::Integer(6884), "2015 program";
    /// Folder of results and logs, relative to the working directory.
    OUTPUT_PATH: "output_path",
        Kind::Path, text("output/"), "2015 program";
    /// Folder that is searched for torrent files in all depths, relative to
    /// the working directory.
    INPUT_PATH: "input_path",
        Kind::Path, text("input/"), "2015 program";
    /// File with one magnet link a line, relative to `input_path`; need not
    /// exist.
    MAGNET_FILE: "magnet_file",
        Kind::Path, text("magnet.txt"), "2015 program";
    /// Time between two rows of statistics; the error files are rewritten as
    /// often.
    STATISTIC_INTERVAL: "statistic_interval",
        seconds(0.1, 604_800.0), Value::Number(300.0), "2015 program";
    /// Longest sleep of a worker that has nothing to do.
    EVALUATOR_REACTION: "evaluator_reaction",
        seconds(0.01, 3600.0), Value::Number(40.0), "2015 program";
    /// Timeout calibration: writes the longest wait of each visit, for which a
    /// `network_timeout` of 30 is advised. Switches `visit.finish_when_complete`
    /// off.
    REC_DUR_ANALYSIS: "rec_dur_analysis",
        Kind::Flag, Value::Flag(false), "2015 program";
    /// Asks trackers every `tracker_request_interval` even when they want a
    /// longer time. For tests against trackers of your own; others may ban you.
    IGNORE_INTERVAL: "ignore_interval",
        Kind::Flag, Value::Flag(false), "BEP 3: clients keep to the interval of the tracker";
}
