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
    torrents: PathBuf,
    /// Each torrent with its announce URLs.
    trackers: Vec<(String, Vec<String>)>,
    /// Address of each peer, with torrent (from 1) and behaviour.
    peers: Vec<(String, usize, &'static str)>,
}

impl Place {
    fn of(swarm: &Swarm, torrents: &Path) -> Self {
        let plan = swarm.plan();
        let trackers = plan.torrents.iter().map(|torrent| {
            let modes = torrent.trackers.iter();
            let urls = modes.filter_map(|mode| swarm.tracker_url(*mode));
            (torrent.info_hash.to_string(), urls.collect())
        });
        let peers = plan.peers.iter().enumerate().filter_map(|(index, peer)| {
            let address = swarm.peer_address(index)?.to_string();
            Some((address, peer.torrent + 1, peer.behaviour.as_str()))
        });
        Self {
            plan: plan.digest().to_string(),
            torrents: torrents.to_owned(),
            trackers: trackers.collect(),
            peers: peers.collect(),
        }
    }

    fn text(&self, truth: &Path) -> String {
        let torrents = (1..)
            .zip(&self.trackers)
            .flat_map(|(number, (hash, urls))| {
                let urls = urls.iter().map(|url| format!("  tracker  {url}"));
                std::iter::once(format!("torrent {number}  {hash}")).chain(urls)
            });
        let peers = self.peers.iter().map(|(address, torrent, behaviour)| {
            format!("peer  {address}  torrent {torrent}  {behaviour}")
        });
        let lines: Vec<String> = torrents.chain(peers).collect();
        format!(
            "torrent files  {}\n{}\ntruth file  {}\nrunning until Ctrl+C or the end of --time\n",
            self.torrents.display(),
            lines.join("\n"),
            truth.display()
        )
    }

    fn json(&self, truth: &Path) -> String {
        let torrents = self
            .trackers
            .iter()
            .map(|(hash, urls)| json!({"info_hash": hash, "trackers": urls}));
        let peers = self.peers.iter().map(|(address, torrent, behaviour)| {
            json!({"address": address, "torrent": torrent, "behaviour": behaviour})
        });
        let value = json!({
            "plan": self.plan,
            "folder": self.torrents.to_string_lossy(),
            "truth": truth.to_string_lossy(),
            "torrents": torrents.collect::<Vec<_>>(),
            "peers": peers.collect::<Vec<_>>(),
        });
        format!("{value:#}\n")
    }
}
