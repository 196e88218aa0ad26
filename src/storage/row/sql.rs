//! The statements of [`super::Row::sql`], one `?` for each value; writer thread
//! only. Those of the three 2015 tables also go into the log when a row is
//! lost; no key is written twice, so that replaying one does no harm.

pub(super) const TORRENT: &str = "INSERT OR IGNORE INTO torrent (id, announce_url, info_hash, info_hash_hex, pieces_count, piece_size, complete_threshold, filepath, display_name, gigabyte) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
pub(super) const INPUT: &str = "INSERT INTO input (path, sha1, torrent, note) VALUES (?, ?, ?, ?)";
pub(super) const NEW_PEER: &str = "INSERT OR IGNORE INTO peer (id, client, continent, country, latitude, longitude, first_pieces, last_pieces, first_seen, last_seen, max_speed, visits, source, torrent) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
pub(super) const PEER_UPDATE: &str = "UPDATE peer SET last_pieces = ?, last_seen = ?, max_speed = ?, visits = ? WHERE id = ? AND visits < ?";
pub(super) const IPV6: &str = "INSERT INTO peer_ipv6 (peer) VALUES (?)";
pub(super) const PLACE: &str = "INSERT INTO place (peer, city, accuracy_km) VALUES (?, ?, ?)";
pub(super) const EXTENSION_HANDSHAKE: &str = "INSERT INTO extension_handshake (visit, client, listen_port, request_queue, upload_only, metadata_size, your_ip) VALUES (?, ?, ?, ?, ?, ?, ?)";
pub(super) const VISIT: &str = "INSERT INTO visit (id, peer, time_ms, pieces, messages, bitfield, have, have_all, have_none, keep_alive, state, extended, port, transfer, piece, unknown, longest_wait_ms, duration_ms, direction, transport, encryption, ended) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
pub(super) const CROSSING: &str = "INSERT INTO crossing (peer, last_below_ms, last_below_pieces, first_at_ms, first_at_pieces) VALUES (?, ?, ?, ?, ?)";
pub(super) const REQUEST: &str = "INSERT OR IGNORE INTO request (id, timestamp, source, received_peers, duplicate_peers, seeders, completed, leechers, duration_sec, torrent) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
pub(super) const STATISTIC: &str = "INSERT OR IGNORE INTO statistic (id, timestamp, peer_queue, visited_queue, unique_incoming, success_active, thread_workload, load_average, memory_mb, server_threads, evaluator_threads) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
pub(super) const OUTCOME: &str =
    "INSERT INTO outcome (time_ms, event, reason, count) VALUES (?, ?, ?, ?)";
pub(super) const MESSAGE: &str = "INSERT INTO message (time_ms, kind, count) VALUES (?, ?, ?)";
pub(super) const PEER_ERROR: &str = "INSERT INTO peer_error (event, reason, count) VALUES (?, ?, ?) ON CONFLICT (event, reason) DO UPDATE SET count = excluded.count";
pub(super) const PEER_ERROR_GONE: &str = "DELETE FROM peer_error WHERE event = ? AND reason = ?";
pub(super) const TRACKER_RESULT: &str = "INSERT INTO tracker_result (torrent, url, result, reason, count) VALUES (?, ?, ?, ?, ?) ON CONFLICT (torrent, url, result, reason) DO UPDATE SET count = excluded.count";
pub(super) const ANNOUNCE: &str = "INSERT INTO announce (request, time_ms, url, interval, min_interval, seeders, leechers, warning, family) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
pub(super) const SCRAPE: &str = "INSERT INTO scrape (time_ms, torrent, url, seeders, completed, leechers) VALUES (?, ?, ?, ?, ?, ?)";
pub(super) const FACT: &str = "INSERT INTO run (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
