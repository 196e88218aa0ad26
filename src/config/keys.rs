//! The registry of keys: the single source of `config.toml`, of the checks,
//! of the environment names and of the defaults.
//!
//! The doc comment of a key is its comment in `config.toml`.

use std::borrow::Cow;

use super::key::{Key, Kind, Value};

mod observe;
mod tables;
mod thesis;
mod web;

pub use observe::*;
pub use tables::*;
pub use thesis::*;
pub use web::*;

/// Every key in the order of the file: the top level first, then table by
/// table.
pub fn all() -> impl Iterator<Item = &'static Key> {
    let lists = thesis::LIST.iter().chain(tables::LIST);
    lists.chain(web::LIST).chain(observe::LIST).copied()
}

/// The key of that dotted name.
pub fn find(name: &str) -> Option<&'static Key> {
    all().find(|key| key.name == name)
}

/// Whether keys live in a table of that name.
pub fn is_table(name: &str) -> bool {
    !name.is_empty() && all().any(|key| key.path().0 == name)
}

/// What the method of 2015 sets: its way to visit (all messages until the
/// timeout, plain BEP 3 in the clear over TCP and IPv4, nothing from broken visits), to
/// drop a peer for good at its first failure, and to visit it again after the
/// same time always.
pub fn method_2015() -> [(&'static Key, Value); 14] {
    [
        (&IDENTITY, text("2015")),
        (&SPEED_GAP_SECONDS, Value::Number(0.0)),
        (&FINISH_WHEN_COMPLETE, Value::Flag(false)),
        (&FAST_EXTENSION, Value::Flag(false)),
        (&EXTENSION_PROTOCOL, Value::Flag(false)),
        (&KEEP_PARTIAL, Value::Flag(false)),
        (&IGNORE_MALFORMED, Value::Flag(true)),
        (&ENCRYPTION, text("plain")),
        (&TRANSPORT, text("tcp")),
        (&RETRY_ENABLED, Value::Flag(false)),
        (&REVISIT_MODE, text("fixed")),
        (&CONTACT_IPV6, Value::Flag(false)),
        (&LISTEN_IPV6, Value::Flag(false)),
        (&TRACKER_IPV6, Value::Flag(false)),
    ]
}

const fn text(text: &'static str) -> Value {
    Value::Text(Cow::Borrowed(text))
}

const fn integer(min: i64, max: i64) -> Kind {
    Kind::Integer { min, max }
}

const fn number(min: f64, max: f64) -> Kind {
    Kind::Number { min, max }
}

const fn seconds(min: f64, max: f64) -> Kind {
    Kind::Seconds { min, max }
}

/// Keys and their list, in one go: `NAME: "name", kind, default, "source";`
/// under the doc comment.
macro_rules! registry {
    ($($(#[doc = $doc:literal])+ $id:ident: $name:literal, $kind:expr, $default:expr, $source:literal;)+) => {
        $(
            $(#[doc = $doc])+
            pub static $id: Key = Key {
                name: $name,
                kind: $kind,
                default: $default,
                doc: &[$($doc),+],
                source: $source,
            };
        )+
        /// Every key of this file, in its order.
        pub(super) static LIST: &[&Key] = &[$(&$id),+];
    };
}
use registry;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_keys_of_2015_keep_names_and_defaults() {
        let expected = [
            ("peer_evaluation_threads", "1024"),
            ("fake_downloaded_stat", "0.5"),
            ("fake_left_stat", "0.5"),
            ("fake_uploaded_stat", "0.2"),
            ("torrent_complete_threshold", "0.98"),
            ("network_timeout", "6"),
            ("dht_node_port", "17000"),
            ("dht_control_port", "17001"),
            ("dht_request_interval", "300"),
            ("tracker_request_interval", "300"),
            ("peer_revisit_delay", "300"),
            ("receive_message_max", "256"),
            ("bittorrent_message_log_length", "80"),
            ("extension_ut_metadata_id", "4"),
            ("bittorrent_listen_port", "6884"),
            ("output_path", "\"output/\""),
            ("input_path", "\"input/\""),
            ("magnet_file", "\"magnet.txt\""),
            ("statistic_interval", "300"),
            ("evaluator_reaction", "40"),
            ("rec_dur_analysis", "false"),
            ("ignore_interval", "false"),
        ];
        let top: Vec<_> = all()
            .filter(|key| !key.name.contains('.'))
            .map(|key| (key.name, key.show(&key.default)))
            .collect();
        let top: Vec<_> = top
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        assert_eq!(top, expected);
    }

    #[test]
    fn names_are_unique_also_as_variables() {
        let names: HashSet<_> = all().map(|key| key.name).collect();
        let variables: HashSet<_> = all().map(Key::variable).collect();
        assert_eq!(names.len(), all().count());
        assert_eq!(variables.len(), all().count());
    }

    #[test]
    fn every_default_is_in_its_range() {
        for key in all() {
            assert_eq!(
                key.check(key.default.clone()).as_ref(),
                Ok(&key.default),
                "{}",
                key.name
            );
            assert!(!key.source.is_empty(), "{}", key.name);
        }
        for (key, value) in method_2015() {
            assert_eq!(key.check(value.clone()), Ok(value));
        }
    }

    #[test]
    fn tables_are_in_one_piece() {
        let mut tables: Vec<_> = all().map(|key| key.path().0).collect();
        tables.dedup();
        assert_eq!(
            tables,
            [
                "", "run", "visit", "revisit", "retry", "contact", "listen", "tracker", "dht",
                "lsd", "storage", "evidence", "privacy", "hosts", "log", "web", "observe"
            ]
        );
    }
}
