//! Accepts calls for all peers of the swarm.
//!
//! The address that was called tells which peer is meant (see `doors`). One
//! thread a listener accepts, the pool talks.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::channel::Channel;
use super::peer::{
    Meeting, Opening, asks_for_metadata, line, look, meet, meet_for_metadata, refuse,
};
use super::plan::{CallerPort, PlannedParty};
use super::pool::Pool;
use super::sockets;
use super::story::Story;
use super::truth::End;
use crate::model::{Direction, Timestamp};
use crate::net::utp::UtpSocket;

/// Who can be called at each address.
pub(super) type Directory = Arc<HashMap<SocketAddr, Callee>>;

/// Who is called, by index.
#[derive(Debug, Clone, Copy)]
pub(super) enum Callee {
    /// A peer.
    Peer(usize),
    /// A caller that tells where it listens.
    Caller(usize),
}

impl Callee {
    fn party(self, story: &Story) -> Option<&PlannedParty> {
        match self {
            Self::Peer(index) => story.plan.peers.get(index),
            Self::Caller(index) => story.plan.callers.get(index),
        }
    }
}

/// Everybody who can be called.
pub(super) fn directory(story: &Story) -> Directory {
    let callers = story.plan.callers.iter().enumerate();
    let callers = callers.filter(|(_, it)| it.listens == Some(CallerPort::Open));
    let callers = callers.map(|(index, it)| {
        let place = SocketAddr::new(IpAddr::V4(it.ip), story.ports.open);
        (place, Callee::Caller(index))
    });
    let peers = 0..story.plan.peers.len();
    let peers = peers.filter_map(|index| Some((story.address_of(index)?, Callee::Peer(index))));
    Arc::new(callers.chain(peers).collect())
}

/// Accepts on `listener` until the lab is to stop.
pub(super) fn serve(
    story: &Arc<Story>,
    pool: &Arc<Pool>,
    directory: &Directory,
    listener: &TcpListener,
) {
    while let Some((stream, _)) = sockets::accept(listener, &story.stop) {
        let Some((callee, address)) = called(directory, &stream) else {
            continue;
        };
        let call = Call {
            callee,
            address,
            started: story.clock.timestamp(),
        };
        let served = Arc::clone(story);
        let run = pool.run(move || answer(&served, call, stream));
        if !run {
            call.not_served(story);
        }
    }
}

/// Accepts over uTP for the peer at `index` until `socket` is shut.
pub(super) fn serve_utp(
    story: &Arc<Story>,
    pool: &Arc<Pool>,
    index: usize,
    socket: &Arc<UtpSocket>,
) {
    while let Some((stream, _)) = socket.accept() {
        let call = Call {
            callee: Callee::Peer(index),
            address: socket.local_addr(),
            started: story.clock.timestamp(),
        };
        let served = Arc::clone(story);
        let channel = Channel::accepted(Box::new(stream));
        let run = pool.run(move || converse(&served, call, channel));
        if !run {
            call.not_served(story);
        }
    }
}

/// A connection that was accepted.
#[derive(Clone, Copy)]
struct Call {
    callee: Callee,
    address: SocketAddr,
    started: Timestamp,
}

impl Call {
    fn meeting(self, visit: u32) -> Meeting {
        let (party, called_back) = match self.callee {
            Callee::Peer(index) => (index, false),
            Callee::Caller(index) => (index, true),
        };
        Meeting {
            direction: Direction::Outgoing,
            called_back,
            party,
            address: self.address,
            visit,
            started: self.started,
        }
    }

    /// As the next visit of the party.
    fn visit(self, story: &Story) -> Option<Meeting> {
        let visits = match self.callee {
            Callee::Peer(index) => story.peer_visits.get(index)?,
            Callee::Caller(index) => story.caller_visits.get(index)?,
        };
        Some(self.meeting(visits.fetch_add(1, Ordering::AcqRel)))
    }

    /// As what comes before its next visit.
    fn before_visit(self, story: &Story) -> Option<Meeting> {
        let visits = match self.callee {
            Callee::Peer(index) => story.peer_visits.get(index)?,
            Callee::Caller(index) => story.caller_visits.get(index)?,
        };
        Some(self.meeting(visits.load(Ordering::Acquire)))
    }

    fn not_served(self, story: &Story) {
        if let Some(party) = self.callee.party(story)
            && let Some(meeting) = self.visit(story)
        {
            let contact = meeting.contact(party, End::NotServed, story.clock.timestamp());
            story.record(contact);
        }
    }
}

/// Who was called; `None` when nobody has that address and port.
fn called(directory: &Directory, stream: &TcpStream) -> Option<(Callee, SocketAddr)> {
    let address = stream.local_addr().ok()?;
    Some((*directory.get(&address)?, address))
}

fn answer(story: &Story, call: Call, stream: TcpStream) {
    let Some(party) = call.callee.party(story) else {
        return;
    };
    let torrent = story.plan.torrents.get(party.torrent);
    let magnet = torrent.is_some_and(|torrent| torrent.magnet.is_some());
    let named = matches!(call.callee, Callee::Peer(_)) && !party.reach.is_encrypted();
    if magnet && named && asks_for_metadata(story, &stream) {
        let line = line(story, stream.into());
        let conversation = meet_for_metadata(story, party, &call.meeting(0), line);
        story.record_metadata(&conversation);
    } else {
        converse(story, call, stream.into());
    }
}

/// A contact, or what an analyzer that tries several ways does in between.
fn converse(story: &Story, call: Call, channel: Channel) {
    let Some(party) = call.callee.party(story) else {
        return;
    };
    let mut line = line(story, channel);
    // Where callers listen they speak in the clear.
    let encrypted = matches!(call.callee, Callee::Peer(_)) && party.reach.is_encrypted();
    match look(story, party, encrypted, &mut line) {
        Opening::Fit => {
            if let Some(meeting) = call.visit(story) {
                story.record(meet(story, party, &meeting, line));
            }
        }
        Opening::Unfit => {
            if let Some(meeting) = call.before_visit(story) {
                story.record(refuse(story, party, &meeting, line));
            }
        }
        Opening::ForMetadata => line.close(),
    }
}
