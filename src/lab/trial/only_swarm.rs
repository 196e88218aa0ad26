//! `btda lab --only-swarm`: the swarm alone, for any client or analyzer.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::super::swarm::Swarm;
use super::{LOOK, Trial, print, say};
use crate::exit::Exit;

impl Trial<'_> {
    /// Prints where everything is and waits for a signal or the end of the
    /// story.
    pub(super) fn only_swarm(&self, mut swarm: Swarm, truth: &Path) -> io::Result<Exit> {
        if let Some(target) = self.options.call {
            swarm.call(target)?;
        }
        let place = Place::of(&swarm, &self.folder.join("input"));
        print(&if self.options.json {
            place.json(truth)
        } else {
            place.text(truth)
        })?;
        let time = self.options.time;
        let whole = time.map_or(u64::MAX, |time| {
            u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
        });
        while swarm.elapsed() < whole && self.signals.recv_timeout(LOOK).is_err() {}
        let contacts = swarm.contacts_ended();
        swarm.finish()?;
        say(&format!(
            "{contacts} contacts; the truth about them is in {}",
            truth.display()
        ));
        Ok(Exit::Success)
    }
}

/// Where a swarm is.
struct Place {
    plan: String,
    folder: PathBuf,
    torrents: Vec<TorrentPlace>,
    peers: Vec<PeerPlace>,
    /// The control port of the pymdht.
    control: Option<u16>,
    /// The nodes of the DHT.
    nodes: Vec<String>,
}

/// A torrent with its announce URLs and its magnet link, if that is all there
/// is of it.
struct TorrentPlace {
    info_hash: String,
    trackers: Vec<String>,
    magnet: Option<String>,
}

/// A peer with the number of its torrent, from 1.
struct PeerPlace {
    address: String,
    torrent: usize,
    behaviour: &'static str,
    reach: &'static str,
    named_by: &'static str,
}

impl Place {
    fn of(swarm: &Swarm, folder: &Path) -> Self {
        let plan = swarm.plan();
        let torrents = plan.torrents.iter().enumerate();
        let torrents = torrents.map(|(index, torrent)| TorrentPlace {
            info_hash: torrent.info_hash.to_string(),
            trackers: (torrent.trackers.iter())
                .filter_map(|mode| swarm.tracker_url(*mode))
                .collect(),
            magnet: swarm.magnet_link(index),
        });
        let peers = plan.peers.iter().enumerate().filter_map(|(index, peer)| {
            Some(PeerPlace {
                address: swarm.peer_address(index)?.to_string(),
                torrent: peer.torrent + 1,
                behaviour: peer.behaviour.as_str(),
                reach: peer.reach.as_str(),
                named_by: peer.named_by.as_str(),
            })
        });
        Self {
            plan: plan.digest().to_string(),
            folder: folder.to_owned(),
            torrents: torrents.collect(),
            peers: peers.collect(),
            control: swarm.control_port(),
            nodes: swarm.dht_nodes().iter().map(ToString::to_string).collect(),
        }
    }

    fn text(&self, truth: &Path) -> String {
        let mut lines = vec![format!("torrent files  {}", self.folder.display())];
        for (number, torrent) in (1..).zip(&self.torrents) {
            lines.push(format!("torrent {number}  {}", torrent.info_hash));
            lines.extend(
                torrent
                    .trackers
                    .iter()
                    .map(|url| format!("  tracker  {url}")),
            );
            lines.extend(torrent.magnet.iter().map(|link| format!("  link  {link}")));
        }
        lines.extend(self.peers.iter().map(|peer| {
            let PeerPlace {
                address,
                torrent,
                behaviour,
                reach,
                named_by,
            } = peer;
            format!("peer  {address}  torrent {torrent}  {behaviour}  {reach}  named by {named_by}")
        }));
        lines.extend(
            self.control
                .map(|port| format!("control port  127.0.0.1:{port}")),
        );
        lines.extend(self.nodes.iter().map(|node| format!("DHT node  {node}")));
        lines.push(format!("truth file  {}", truth.display()));
        lines.push("running until Ctrl+C or the end of --time\n".to_owned());
        lines.join("\n")
    }

    fn json(&self, truth: &Path) -> String {
        let torrents = self.torrents.iter().map(
            |it| json!({"info_hash": it.info_hash, "trackers": it.trackers, "magnet": it.magnet}),
        );
        let peers = self.peers.iter().map(|it| {
            json!({
                "address": it.address,
                "torrent": it.torrent,
                "behaviour": it.behaviour,
                "reach": it.reach,
                "named_by": it.named_by,
            })
        });
        let value = json!({
            "plan": self.plan,
            "folder": self.folder.to_string_lossy(),
            "truth": truth.to_string_lossy(),
            "torrents": torrents.collect::<Vec<_>>(),
            "peers": peers.collect::<Vec<_>>(),
            "control_port": self.control,
            "dht_nodes": self.nodes,
        });
        format!("{value:#}\n")
    }
}
