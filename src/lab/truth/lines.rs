//! The truth file: JSON Lines written and read. The format is documented in
//! `lab::truth`. Pure but for the caller's writer and reader.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, Write};
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::super::behaviour::Behaviour;
use super::super::dht::DhtCounts;
use super::super::plan::Plan;
use super::super::reach::Reach;
use super::super::tracker::{TrackerCounts, TrackerMode};
use super::contact::{Contact, End};
use super::metadata::{MagnetCounts, MetadataContact};
use crate::model::{Direction, Link, Reason, Timestamp};

/// Every fault that a party of the lab can show.
const FAULTS: [Reason; 12] = [
    Reason::TimedOut,
    Reason::Closed,
    Reason::RESET,
    Reason::UnknownProtocol,
    Reason::InfoHashMismatch,
    Reason::UnknownInfoHash,
    Reason::BitfieldLength,
    Reason::SpareBits,
    Reason::HaveOutOfRange,
    Reason::PayloadLength,
    Reason::MessageTooLong,
    Reason::PieceReceived,
];

pub(super) fn write_story(to: &mut impl Write, plan: &Plan, started: Timestamp) -> io::Result<()> {
    let torrents: Vec<Value> = plan
        .torrents
        .iter()
        .map(|it| {
            json!({
                "name": it.name,
                "info_hash": it.info_hash.to_string(),
                "pieces": it.pieces,
                "piece_length": it.piece_length,
                "magnet": it.magnet.is_some(),
                "metadata_blocks": it.metadata_blocks(),
            })
        })
        .collect();
    let story = json!({
        "kind": "story",
        "seed": plan.options.seed,
        "plan": plan.digest().to_string(),
        "started": started.millis(),
        "message_limit": plan.options.message_limit,
        "peers": plan.peers.len(),
        "callers": plan.callers.len(),
        "torrents": torrents,
    });
    writeln!(to, "{story}")
}

pub(super) fn write_contact(to: &mut impl Write, contact: &Contact) -> io::Result<()> {
    writeln!(to, "{}", contact.json())
}

pub(super) fn write_trackers(
    to: &mut impl Write,
    trackers: &BTreeMap<(usize, TrackerMode), TrackerCounts>,
) -> io::Result<()> {
    for ((torrent, mode), counts) in trackers {
        writeln!(to, "{}", counts.json(*torrent, *mode))?;
    }
    Ok(())
}

pub(super) fn write_metadata(to: &mut impl Write, contact: &MetadataContact) -> io::Result<()> {
    writeln!(to, "{}", contact.json())
}

pub(super) fn write_sources(
    to: &mut impl Write,
    magnets: &BTreeMap<usize, MagnetCounts>,
    dht: &BTreeMap<usize, DhtCounts>,
) -> io::Result<()> {
    for (torrent, counts) in magnets {
        writeln!(to, "{}", counts.json(*torrent))?;
    }
    for (torrent, counts) in dht {
        writeln!(to, "{}", counts.json(*torrent))?;
    }
    Ok(())
}

pub(super) fn write_exchanged(
    to: &mut impl Write,
    exchanged: &BTreeMap<usize, BTreeSet<SocketAddr>>,
) -> io::Result<()> {
    for (torrent, named) in exchanged {
        let line = json!({"kind": "exchange", "torrent": torrent + 1, "addresses": named.len()});
        writeln!(to, "{line}")?;
    }
    Ok(())
}

pub(super) fn write_end(to: &mut impl Write, ended: Timestamp, contacts: u64) -> io::Result<()> {
    let end = json!({"kind": "end", "ended": ended.millis(), "contacts": contacts});
    writeln!(to, "{end}")?;
    to.flush()
}

/// Hands every contact of a truth file to `take`, one after the other.
///
/// # Errors
/// When reading fails, and with the number of the line for one that is not in
/// the format of `lab::truth`.
pub fn read_contacts(from: impl BufRead, mut take: impl FnMut(&Contact)) -> io::Result<()> {
    for (number, line) in (1..).zip(from.lines()) {
        let line = line?;
        let wrong = || {
            let text = format!("line {number} of the truth file is not a contact");
            io::Error::new(io::ErrorKind::InvalidData, text)
        };
        let value: Value = serde_json::from_str(&line).map_err(|_| wrong())?;
        if value["kind"] == "contact" {
            take(&Contact::from_json(&value).ok_or_else(wrong)?);
        }
    }
    Ok(())
}

impl Contact {
    fn json(&self) -> Value {
        json!({
            "kind": "contact",
            "started": self.started.millis(),
            "ended": self.ended.millis(),
            "direction": self.direction.as_str(),
            "called_back": self.called_back,
            "party": self.party,
            "address": self.address.to_string(),
            "torrent": self.torrent + 1,
            "behaviour": self.behaviour.as_str(),
            "reach": self.reach.as_str(),
            "transport": self.link.transport.as_str(),
            "encryption": self.link.encryption.as_str(),
            "visit": self.visit,
            "unfit": self.unfit,
            "handshake": self.handshake,
            "told": self.told,
            "settled": self.settled,
            "slowest": self.slowest,
            "waited": self.waited,
            "messages": self.messages,
            "arrived": self.arrived.iter().map(|(at, pieces)| (at.millis(), pieces)).collect::<Vec<_>>(),
            "fault": self.fault.map(Reason::label),
            "finished": self.finished,
            "end": self.end.as_str(),
        })
    }

    fn from_json(value: &Value) -> Option<Self> {
        let small = |key: &str| u32::try_from(value[key].as_u64()?).ok();
        let size = |key: &str| usize::try_from(value[key].as_u64()?).ok();
        let direction = match value["direction"].as_str()? {
            "outgoing" => Direction::Outgoing,
            "incoming" => Direction::Incoming,
            _ => return None,
        };
        let fault = match value["fault"].as_str() {
            Some(label) => Some(FAULTS.into_iter().find(|it| it.label() == label)?),
            None => None,
        };
        Some(Self {
            started: Timestamp(value["started"].as_i64()?),
            ended: Timestamp(value["ended"].as_i64()?),
            direction,
            called_back: value["called_back"].as_bool()?,
            party: size("party")?,
            address: value["address"].as_str()?.parse().ok()?,
            torrent: size("torrent")?.checked_sub(1)?,
            behaviour: Behaviour::named(value["behaviour"].as_str()?)?,
            reach: Reach::named(value["reach"].as_str()?)?,
            link: Link::named(value["transport"].as_str()?, value["encryption"].as_str()?)?,
            visit: small("visit")?,
            unfit: value["unfit"].as_bool()?,
            handshake: value["handshake"].as_bool()?,
            told: small("told"),
            settled: small("settled"),
            slowest: small("slowest")?,
            waited: small("waited")?,
            messages: small("messages")?,
            arrived: arrived(&value["arrived"])?,
            fault,
            finished: value["finished"].as_bool()?,
            end: End::named(value["end"].as_str()?)?,
        })
    }
}

fn arrived(value: &Value) -> Option<Vec<(Timestamp, u32)>> {
    let step = |step: &Value| {
        let pieces = u32::try_from(step[1].as_u64()?).ok()?;
        Some((Timestamp(step[0].as_i64()?), pieces))
    };
    value.as_array()?.iter().map(step).collect()
}
