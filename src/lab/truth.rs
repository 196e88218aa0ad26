//! What really happened, contact by contact.
//!
//! The truth is written down by the lab's own side of each connection and is
//! enough to judge any analyzer: who, when, what was told, which fault was
//! shown. [`Contact::expected`] says what a correct analyzer makes of it,
//! `lab::judge` adds it up by the definition of a confirmed download.
//!
//! # The truth file
//!
//! JSON Lines, one object a line, times in milliseconds since 1970 UTC. The
//! addresses in it are all of 127.0.0.0/8 or `::1`: there is nobody behind
//! them.
//!
//! * `kind` `story`, the first line: `seed`, `plan` (digest), `started`,
//!   `message_limit`, `peers`, `callers`, and for each of `torrents` its
//!   `name`, `info_hash`, `pieces`, `piece_length`, `magnet` (whether it is
//!   given by a magnet link only) and `metadata_blocks`.
//! * `kind` `contact`, one for each connection, written when it is over (see
//!   [`Contact`] for the fields; `torrent` counts from 1). Refused calls leave
//!   no line: the system answers them.
//! * `kind` `metadata`, one for each connection in which metadata were asked
//!   for (see [`MetadataContact`]), among the contacts.
//! * `kind` `tracker`, one for each torrent and tracker, behind the contacts.
//! * `kind` `magnet`, one for each torrent given by a magnet link only that
//!   anybody was asked for (see [`MagnetCounts`]).
//! * `kind` `dht`, one for each torrent that the DHT was asked for (see
//!   [`DhtCounts`]).
//! * `kind` `exchange`, one for each torrent of which peers named others: how
//!   many `addresses`.
//! * `kind` `end`, the last line: `ended` and how many `contacts` there are.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::net::SocketAddr;

pub(super) mod contact;
mod lines;
mod metadata;
mod record;

pub use contact::{Contact, End, Expected, Rules};
pub use lines::read_contacts;
pub use metadata::{MagnetCounts, MetadataContact};
pub(super) use record::TruthRecord;

use super::dht::DhtCounts;
use super::plan::Plan;
use super::tracker::{TrackerCounts, TrackerMode};
use crate::model::Timestamp;

/// Everything that happened in one story.
#[derive(Debug, Clone)]
pub struct Truth {
    /// What was to happen.
    pub plan: Plan,
    /// When the story began.
    pub started: Timestamp,
    /// When it ended, or the present.
    pub ended: Timestamp,
    /// Every contact, in order of its end; empty when they were written to a
    /// file as they ended.
    pub contacts: Vec<Contact>,
    /// What each tracker was asked for each torrent (by index).
    pub trackers: BTreeMap<(usize, TrackerMode), TrackerCounts>,
    /// What became of the metadata of each torrent (by index) that is given
    /// by a magnet link only.
    pub magnets: BTreeMap<usize, MagnetCounts>,
    /// What the DHT was asked for each torrent (by index).
    pub dht: BTreeMap<usize, DhtCounts>,
    /// Whom peers named to the analyzer (BEP 11), by torrent (index).
    pub exchanged: BTreeMap<usize, BTreeSet<SocketAddr>>,
}

impl Truth {
    /// Distinct addresses that trackers, DHT and peers named for the torrent at
    /// `index`, the analyzer's own left out: what `received_peers - duplicate_peers`
    /// must add up to. Those of IPv6 only for an analyzer that contacts such.
    pub fn addresses_named(&self, index: usize, ipv6: bool) -> usize {
        let of_torrent = self.trackers.iter().filter(|((it, _), _)| *it == index);
        let mut named: BTreeSet<_> = of_torrent.flat_map(|(_, it)| &it.addresses).collect();
        named.extend(
            self.dht
                .get(&index)
                .into_iter()
                .flat_map(|it| &it.addresses),
        );
        named.extend(self.exchanged.get(&index).into_iter().flatten());
        named.retain(|address| ipv6 || address.is_ipv4());
        named.len()
    }

    /// What a correct analyzer with these rules makes of `contact`.
    pub fn expected(&self, contact: &Contact, rules: Rules) -> Expected {
        let total = self.plan.pieces_of(contact.torrent);
        contact.expected(rules, total, self.plan.options.message_limit)
    }

    /// Writes everything as JSON Lines.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        lines::write_story(to, &self.plan, self.started)?;
        for contact in &self.contacts {
            lines::write_contact(to, contact)?;
        }
        self.write_rest(to, self.contacts.len() as u64)
    }

    /// Writes what stands behind the `contacts` contacts.
    pub(super) fn write_rest(&self, to: &mut impl Write, contacts: u64) -> io::Result<()> {
        lines::write_trackers(to, &self.trackers)?;
        lines::write_sources(to, &self.magnets, &self.dht)?;
        lines::write_exchanged(to, &self.exchanged)?;
        lines::write_end(to, self.ended, contacts)
    }
}

#[cfg(test)]
mod tests;
