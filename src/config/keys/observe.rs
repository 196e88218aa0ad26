//! The keys of the observatory (`btda observe`), a table of their own.

use super::{Key, Kind, Value, integer, registry, seconds, text};

registry! {
    /// Folder of `btda observe` and `btda search`: records, counts, index and
    /// torrent files.
    OBSERVE_FOLDER: "observe.folder",
        Kind::Path, text("observatory/"), "own choice";
    /// UDP port of the first node; further nodes take the next ports. 0 lets
    /// the system choose.
    OBSERVE_PORT: "observe.port",
        integer(0, 65_535), Value::Integer(49_001), "DHT monitor of 2018";
    /// Nodes of our own in each address family. Their ids are spread over the
    /// key space as far as BEP 42 lets an address choose: in eight places.
    OBSERVE_NODES: "observe.nodes",
        integer(1, 8), Value::Integer(1), "own choice: polite";
    /// Time in one file of records.
    OBSERVE_SLICE_SECONDS: "observe.slice_seconds",
        seconds(1.0, 86_400.0), Value::Number(120.0), "DHT monitor of 2018";
    /// What records say of the addresses and node ids of others. pseudonym: a
    /// keyed name; the key is never stored. omitted: nothing. plain: what they
    /// are, which is personal data.
    OBSERVE_ADDRESSES: "observe.addresses",
        Kind::Choice(&["pseudonym", "omitted", "plain"]), text("pseudonym"), "own choice: addresses are personal data";
    /// Time after which pseudonyms get a new key and the old one is destroyed:
    /// nobody can be followed for longer.
    OBSERVE_KEY_SECONDS: "observe.key_seconds",
        seconds(60.0, 31_536_000.0), Value::Number(86_400.0), "own choice: a day";
    /// Keeps info hashes only: no names, and nothing is resolved.
    OBSERVE_HASHES_ONLY: "observe.hashes_only",
        Kind::Flag, Value::Flag(false), "own choice";
    /// List of info hashes and words, one a line, relative to `input_path`:
    /// torrents with one of them are neither stored nor shown.
    OBSERVE_BLOCK_FILE: "observe.block_file",
        Kind::OptionalPath, text(""), "own choice";
    /// Threads that fetch the metadata of torrents that were heard of, one
    /// torrent each; 0 resolves nothing.
    OBSERVE_RESOLVE_THREADS: "observe.resolve_threads",
        integer(0, 64), Value::Integer(4), "own choice";
    /// Time between two surveys by `sample_infohashes` (BEP 51), each of which
    /// also estimates the size of the network; 0 makes none.
    OBSERVE_SURVEY_SECONDS: "observe.survey_seconds",
        seconds(0.0, 31_536_000.0), Value::Number(25_200.0), "DHT monitor of 2018: 7 hours";
    /// Records and counts that are older are removed.
    OBSERVE_KEEP_SECONDS: "observe.keep_seconds",
        seconds(3600.0, 315_360_000.0), Value::Number(2_592_000.0), "own choice: 30 days";
    /// Bytes on disk: half for records, a quarter for counts, where the oldest
    /// go first; a quarter for torrent files, where nothing is added then.
    OBSERVE_DISK_MAX_BYTES: "observe.disk_max_bytes",
        integer(1_048_576, 1_099_511_627_776), Value::Integer(10_737_418_240), "own choice: 10 GiB";
}
