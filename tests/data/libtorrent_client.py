"""A libtorrent session on loopback, driven by the tests with real clients.

Called as `libtorrent_client.py SETTINGS`, a JSON file with the keys
`address` (IPv6 in brackets), `port`, `folder`, `torrents` (paths), `seed` (the
data lies in the folder already), `download_limit` (bytes a second and torrent,
0 is none), `fingerprint` (first eight bytes of the peer id, empty for
libtorrent's own), `encryption` (a key of ENCRYPTION), `utp_only` (no TCP to peers), `lsd` (local service
discovery), `dht` (`host:port` of a node to begin with, null is no DHT) and `peers` (`host:port` each, known from
the start).

Prints JSON lines: first {"fingerprint"}, then twice a second {"from_ms",
"to_ms", "pieces": {info hash: pieces}}. Ends when its standard input is
closed, so that it never outlives the test.
"""

import itertools
import json
import os
import sys
import threading
import time

import libtorrent

INTERVAL_SECONDS = 0.5
REANNOUNCE_SAMPLES = 6
DHT_ANNOUNCE_SAMPLES = 4
POLICY_FORCED, POLICY_ENABLED, POLICY_DISABLED = 0, 1, 2
LEVEL_PLAINTEXT, LEVEL_RC4, LEVEL_BOTH = 1, 2, 3
# Policy inward, policy outward, methods behind the handshake.
ENCRYPTION = {
    "not outward": (POLICY_ENABLED, POLICY_DISABLED, LEVEL_BOTH),
    "either": (POLICY_ENABLED, POLICY_ENABLED, LEVEL_BOTH),
    "rc4": (POLICY_FORCED, POLICY_FORCED, LEVEL_RC4),
    "plaintext": (POLICY_FORCED, POLICY_FORCED, LEVEL_PLAINTEXT),
}
IGNORE_MIN_INTERVAL = libtorrent.reannounce_flags_t.ignore_min_interval


def session_settings(wanted):
    inward, outward, level = ENCRYPTION[wanted["encryption"]]
    settings = {
        "listen_interfaces": "%s:%d" % (wanted["address"], wanted["port"]),
        "outgoing_interfaces": wanted["address"].strip("[]"),
        "enable_dht": False,
        "enable_lsd": wanted.get("lsd", False),
        "enable_upnp": False,
        "enable_natpmp": False,
        # Incoming uTP stays on: with neither uTP nor DHT libtorrent opens no
        # UDP socket and cannot ask UDP trackers.
        "enable_outgoing_utp": False,
        "in_enc_policy": inward,
        "out_enc_policy": outward,
        "allowed_enc_level": level,
        "allow_multiple_connections_per_ip": True,
        "announce_to_all_tiers": True,
        "announce_to_all_trackers": True,
        "unchoke_slots_limit": -1,
        # Transmission resets all but one of the connections that come from
        # one address in the same moment: try again soon, not after a minute.
        "min_reconnect_time": 2,
        "alert_mask": libtorrent.alert.category_t.error_notification
        | libtorrent.alert.category_t.tracker_notification
        | libtorrent.alert.category_t.connect_notification,
    }
    if wanted["fingerprint"]:
        settings["peer_fingerprint"] = wanted["fingerprint"]
    if wanted["utp_only"]:
        settings["enable_outgoing_utp"] = settings["enable_incoming_utp"] = True
        settings["enable_outgoing_tcp"] = settings["enable_incoming_tcp"] = False
    if wanted["dht"]:
        settings.update(dht_settings(wanted["dht"]))
    return settings


def dht_settings(bootstrap):
    return {
        "enable_dht": True,
        "dht_bootstrap_nodes": bootstrap,
        "dht_restrict_routing_ips": False,
        "dht_restrict_search_ips": False,
        "dht_ignore_dark_internet": False,
        "dht_prefer_verified_node_ids": False,
    }


def add_torrent(session, wanted, path):
    flags = libtorrent.torrent_flags
    params = libtorrent.add_torrent_params()
    params.ti = libtorrent.torrent_info(path)
    params.save_path = wanted["folder"]
    params.download_limit = wanted["download_limit"]
    params.flags &= ~(flags.auto_managed | flags.paused)
    params.flags |= flags.disable_pex
    if wanted.get("lsd", False):
        params.flags &= ~flags.disable_lsd
    else:
        params.flags |= flags.disable_lsd
    if not wanted["dht"]:
        params.flags |= flags.disable_dht
    if wanted["seed"]:
        params.flags |= flags.seed_mode
    return session.add_torrent(params)


def milliseconds():
    return time.time_ns() // 1_000_000


def call_known(wanted, handles):
    for peer in wanted["peers"]:
        host, port = peer.rsplit(":", 1)
        for handle in handles:
            handle.connect_peer((host, int(port)))


def sample(handles):
    began = milliseconds()
    pieces = {str(h.info_hash()): h.status().num_pieces for h in handles}
    return {"from_ms": began, "to_ms": milliseconds(), "pieces": pieces}


def say(line):
    print(json.dumps(line), flush=True)


def end_with_parent():
    sys.stdin.read()
    os._exit(0)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        wanted = json.load(file)
    threading.Thread(target=end_with_parent, daemon=True).start()
    session = libtorrent.session(session_settings(wanted))
    say({"fingerprint": session.get_settings()["peer_fingerprint"]})
    handles = [add_torrent(session, wanted, path) for path in wanted["torrents"]]
    for number in itertools.count(1):
        say(sample(handles))
        # Transmission calls nobody on loopback: the seeder must find it soon
        # and call it, long before the tracker's interval is over.
        if wanted["seed"] and number % REANNOUNCE_SAMPLES == 0:
            for handle in handles:
                handle.force_reannounce(0, -1, IGNORE_MIN_INTERVAL)
        # Its first announce may come before it knows a node.
        if wanted["dht"] and number % DHT_ANNOUNCE_SAMPLES == 0:
            for handle in handles:
                handle.force_dht_announce()
        if number % REANNOUNCE_SAMPLES == 0:
            call_known(wanted, handles)
        for alert in session.pop_alerts():
            print(alert.message(), file=sys.stderr, flush=True)
        time.sleep(INTERVAL_SECONDS)


main()
