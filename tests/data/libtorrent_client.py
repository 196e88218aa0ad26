"""A libtorrent session on loopback, driven by the tests with real clients.

Called as `libtorrent_client.py SETTINGS`, a JSON file with the keys `listen`
(`host:port`, with commas between), `call_from` (addresses; it takes callers at
these only), `folder`, `torrents` (paths), `seed` (the data lies in the folder
already), `download_limit` (bytes a second and torrent, 0 is none),
`fingerprint` (first eight bytes of the peer id, empty for libtorrent's own),
`encryption` (a key of ENCRYPTION), `transport` (a key of TRANSPORT), `dht`
(`host:port` of a node to begin with, null is no DHT), `peers` (`host:port`
each, known from the start), `exchange` (names its peers to others, BEP 11), `local`
(announces itself in its own network, BEP 14) and
`company` (addresses; where there are any, the download is held back short of
its end until somebody there is newly connected, and then goes on as fast as it
can).

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
LOOK_SECONDS = 0.05
POLICY_FORCED, POLICY_ENABLED, POLICY_DISABLED = 0, 1, 2
LEVEL_PLAINTEXT, LEVEL_RC4, LEVEL_BOTH = 1, 2, 3
# Policy inward, policy outward, methods behind the handshake.
ENCRYPTION = {
    "not outward": (POLICY_ENABLED, POLICY_DISABLED, LEVEL_BOTH),
    "none": (POLICY_DISABLED, POLICY_DISABLED, LEVEL_BOTH),
    "either": (POLICY_ENABLED, POLICY_ENABLED, LEVEL_BOTH),
    "rc4": (POLICY_FORCED, POLICY_FORCED, LEVEL_RC4),
    "plaintext": (POLICY_FORCED, POLICY_FORCED, LEVEL_PLAINTEXT),
}
# TCP inward and outward, uTP inward, uTP outward. With neither uTP nor DHT
# libtorrent opens no UDP socket and cannot ask UDP trackers.
TRANSPORT = {
    "tcp, utp inward": (True, True, False),
    "tcp": (True, False, False),
    "utp": (False, True, True),
}
IGNORE_MIN_INTERVAL = libtorrent.reannounce_flags_t.ignore_min_interval


def session_settings(wanted):
    inward, outward, level = ENCRYPTION[wanted["encryption"]]
    tcp, utp_inward, utp_outward = TRANSPORT[wanted["transport"]]
    settings = {
        "listen_interfaces": wanted["listen"],
        "outgoing_interfaces": wanted["call_from"],
        "enable_dht": False,
        "enable_lsd": wanted["local"],
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_incoming_tcp": tcp,
        "enable_outgoing_tcp": tcp,
        "enable_incoming_utp": utp_inward,
        "enable_outgoing_utp": utp_outward,
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
        # Two calls that cross each other are a failure of one of them, which
        # is no reason to give a peer up.
        "max_failcount": 1000,
        "alert_mask": libtorrent.alert.category_t.error_notification
        | libtorrent.alert.category_t.tracker_notification
        | libtorrent.alert.category_t.connect_notification,
    }
    if wanted["fingerprint"]:
        settings["peer_fingerprint"] = wanted["fingerprint"]
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
    if not wanted["local"]:
        params.flags |= flags.disable_lsd
    else:
        params.flags &= ~flags.disable_lsd
    if not wanted["exchange"]:
        params.flags |= flags.disable_pex
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
            handle.connect_peer((host.strip("[]"), int(port)))


def sample(handles):
    began = milliseconds()
    pieces = {str(h.info_hash()): h.status().num_pieces for h in handles}
    return {"from_ms": began, "to_ms": milliseconds(), "pieces": pieces}


class Patience:
    """Lets a download end only in the company of certain peers."""

    HELD_FROM = 0.9
    HELD_RATE = 4096
    # Company that comes may be about to leave unless it is as new as this.
    NEW_SECONDS = 0.5
    # It has heard what we have by then, and hears the rest one by one, but
    # does not wait longer than three seconds for a message.
    RELEASED_AFTER_SECONDS = 0.8
    END_SECONDS = 1.5

    def __init__(self, handle, wanted):
        self.handle = handle
        self.company = wanted["company"]
        self.rate = wanted["download_limit"]
        self.present = False
        self.looked = time.monotonic()
        self.release_at = None

    def limit(self, rate):
        if rate != self.rate:
            self.rate = rate
            self.handle.set_download_limit(rate)

    def look(self):
        """To be called much more often than every NEW_SECONDS."""
        now = time.monotonic()
        present = any(self.is_company(p) for p in self.handle.get_peer_info())
        new = present and not self.present and now - self.looked < self.NEW_SECONDS
        self.present, self.looked = present, now
        status = self.handle.status()
        if status.progress < self.HELD_FROM:
            return
        if new:
            self.release_at = now + self.RELEASED_AFTER_SECONDS
        if not present or self.release_at is None:
            self.release_at = None
            self.limit(self.HELD_RATE)
        elif self.release_at <= now and self.rate <= self.HELD_RATE:
            left = status.total_wanted - status.total_wanted_done
            self.limit(max(int(left / self.END_SECONDS), self.HELD_RATE + 1))

    def is_company(self, peer):
        under_way = libtorrent.peer_info.connecting | libtorrent.peer_info.handshake
        return peer.ip[0] in self.company and not peer.flags & under_way


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
    patience = Patience(handles[0], wanted) if wanted["company"] else None
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
        wait(patience)


def wait(patience):
    until = time.monotonic() + INTERVAL_SECONDS
    while patience and time.monotonic() + LOOK_SECONDS < until:
        patience.look()
        time.sleep(LOOK_SECONDS)
    time.sleep(max(0, until - time.monotonic()))


main()
