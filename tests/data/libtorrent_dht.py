"""A libtorrent DHT node on loopback, driven by the test `dht_real_nodes`.

Called as `libtorrent_dht.py ADDRESS PORT BOOTSTRAP`, where BOOTSTRAP is
`host:port` of a node to begin with. Reads commands from standard input, one a
line, and ends with it:

    find HASH           look for peers in the DHT
    join HASH FOLDER    download what the hash names, and announce it

Prints JSON lines: {"nodes": n} when the number of known nodes changes,
{"hash": ..., "peers": [...]} for each answer to `find`.
"""

import json
import os
import sys
import threading
import time
import warnings

import libtorrent


def text(address, port):
    """The form of both, with the brackets of IPv6."""
    return ("[%s]:%s" if ":" in address else "%s:%s") % (address, port)


def session_settings(address, port, bootstrap):
    return {
        "listen_interfaces": text(address, port),
        "outgoing_interfaces": address,
        "enable_dht": True,
        "dht_bootstrap_nodes": bootstrap,
        "dht_restrict_routing_ips": False,
        "dht_restrict_search_ips": False,
        "dht_ignore_dark_internet": False,
        "dht_prefer_verified_node_ids": False,
        "dht_max_peers_reply": 100,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_outgoing_utp": False,
        "allow_multiple_connections_per_ip": True,
        "alert_mask": libtorrent.alert.category_t.dht_notification
        | libtorrent.alert.category_t.dht_operation_notification
        | libtorrent.alert.category_t.error_notification,
    }


def say(line):
    print(json.dumps(line), flush=True)


def obey(session, words):
    if words[0] == "find":
        session.dht_get_peers(libtorrent.sha1_hash(bytes.fromhex(words[1])))
    elif words[0] == "join":
        params = libtorrent.parse_magnet_uri("magnet:?xt=urn:btih:" + words[1])
        params.save_path = words[2]
        session.add_torrent(params)


def read_commands(session):
    try:
        for line in sys.stdin:
            obey(session, line.split())
    finally:
        os._exit(0)


def main():
    # The number of nodes is only in the old form of the status.
    warnings.simplefilter("ignore", DeprecationWarning)
    address, port, bootstrap = sys.argv[1:]
    session = libtorrent.session(session_settings(address, port, bootstrap))
    threading.Thread(target=read_commands, args=(session,), daemon=True).start()
    known = None
    while True:
        nodes = session.status().dht_nodes
        if nodes != known:
            known = nodes
            say({"nodes": nodes})
        for alert in session.pop_alerts():
            if isinstance(alert, libtorrent.dht_get_peers_reply_alert):
                peers = [text(*peer) for peer in alert.peers()]
                say({"hash": str(alert.info_hash), "peers": peers})
            else:
                print(alert.message(), file=sys.stderr, flush=True)
        time.sleep(0.05)


main()
