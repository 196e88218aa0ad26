//! The magnet links of a run, read before it starts: those of `magnet.txt` in
//! their order, then those of the command line.

use std::io;

use crate::config::settings::InputSettings;
use crate::model::InfoHash;
use crate::model::record::InputFile;
use crate::torrent::import::merge_trackers;
use crate::torrent::magnet::{Magnet, PeerHint, read_list};

use super::status::say;

/// Notes about the file that are kept with the results.
const NOTES_MAX: usize = 20;

/// A torrent that links name.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// Which.
    pub(super) info_hash: InfoHash,
    /// `tr` of all its links.
    pub(super) trackers: Vec<String>,
    /// `x.pe` of all its links.
    pub(super) peers: Vec<PeerHint>,
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// None twice, in the order of their first links.
    pub(super) wanted: Vec<Wanted>,
    /// `magnet.txt`, where there is one.
    pub(super) file: Option<InputFile>,
}

/// Reads all links; those that cannot be used are told and skipped.
pub(super) fn read(settings: &InputSettings) -> Links {
    let mut links = Links::default();
    links.read_file(settings);
    for (index, link) in settings.magnets.iter().enumerate() {
        let number = index.saturating_add(1);
        match Magnet::parse(link) {
            Ok(magnet) => {
                for note in &magnet.notes {
                    warn(&format!("--magnet number {number}: {note}"));
                }
                links.add(magnet);
            }
            Err(error) => warn(&format!("--magnet number {number} skipped: {error}")),
        }
    }
    links
}

impl Links {
    fn read_file(&mut self, settings: &InputSettings) {
        let path = &settings.magnet_file;
        let mut file = InputFile {
            path: path.clone(),
            sha1: None,
            torrent: None,
            note: None,
        };
        match read_list(path) {
            Ok((bytes, list)) => {
                for note in &list.notes {
                    warn(&format!("{}: {note}", path.display()));
                }
                let mut notes = vec![format!("{} magnet links", list.links.len())];
                if list.skipped > 0 {
                    notes.push(format!("{} lines skipped", list.skipped));
                }
                notes.extend(list.notes.into_iter().take(NOTES_MAX));
                file.sha1 = Some(InfoHash::of(&bytes));
                file.note = Some(notes.join("; "));
                for line in list.links {
                    self.add(line.magnet);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                warn(&format!("{} skipped: {error}", path.display()));
                file.note = Some(format!("skipped: {error}"));
            }
        }
        self.file = Some(file);
    }

    fn add(&mut self, magnet: Magnet) {
        for info_hash in magnet.info_hashes {
            let known = self.wanted.iter_mut();
            let known = known.into_iter().find(|it| it.info_hash == info_hash);
            if let Some(known) = known {
                merge_trackers(&mut known.trackers, &magnet.trackers);
                for peer in &magnet.peers {
                    if !known.peers.contains(peer) {
                        known.peers.push(peer.clone());
                    }
                }
            } else {
                self.wanted.push(Wanted {
                    info_hash,
                    trackers: magnet.trackers.clone(),
                    peers: magnet.peers.clone(),
                });
            }
        }
    }
}

fn warn(text: &str) {
    log::warn!("{text}");
    say(&format!("btda: {text}"));
}
