//! Accepts calls for all peers of the swarm.
//!
//! On Linux all of 127.0.0.0/8 is local, so one listener on the wildcard
//! address serves thousands of peer addresses; the address that was called
//! tells which peer is meant. One thread accepts, the pool talks.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::peer::{Meeting, asks_for_metadata, meet, meet_for_metadata};
use super::plan::{CallerPort, PlannedParty};
use super::pool::Pool;
use super::sockets;
use super::story::Story;
use super::truth::End;
use crate::model::{Direction, Timestamp};

/// Who can be called at each address.
pub(super) type Directory = Arc<HashMap<IpAddr, Callee>>;

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
    let callers = callers.map(|(index, it)| (IpAddr::V4(it.ip), Callee::Caller(index)));
    let peers = story.plan.peers.iter().enumerate();
    let peers = peers.map(|(index, it)| (IpAddr::V4(it.ip), Callee::Peer(index)));
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
        let Some((callee, address)) = called(story, directory, &stream) else {
            continue;
        };
        let call = Call {
            callee,
            address,
            started: story.clock.timestamp(),
        };
        let served = Arc::clone(story);
        let job = move || answer(&served, call, stream);
        if !pool.run(job)
            && let Some(party) = callee.party(story)
            && let Some(meeting) = call.visit(story)
        {
            let contact = meeting.contact(party, End::NotServed, story.clock.timestamp());
            story.record(contact);
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
}

/// Who was called; `None` when nobody has that address and port.
fn called(
    story: &Story,
    directory: &Directory,
    stream: &TcpStream,
) -> Option<(Callee, SocketAddr)> {
    let address = stream.local_addr().ok()?;
    let callee = *directory.get(&address.ip())?;
    let wanted = match callee {
        Callee::Peer(index) => story.address_of(story.plan.peers.get(index)?),
        Callee::Caller(_) => SocketAddr::new(address.ip(), story.ports.open),
    };
    (wanted == address).then_some((callee, address))
}

fn answer(story: &Story, call: Call, stream: TcpStream) {
    let Some(party) = call.callee.party(story) else {
        return;
    };
    let torrent = story.plan.torrents.get(party.torrent);
    let magnet = torrent.is_some_and(|torrent| torrent.magnet.is_some());
    let named = matches!(call.callee, Callee::Peer(_));
    if magnet && named && asks_for_metadata(story, &stream) {
        let conversation = meet_for_metadata(story, party, &call.meeting(0), stream);
        story.record_metadata(&conversation);
    } else if let Some(meeting) = call.visit(story) {
        story.record(meet(story, party, &meeting, stream));
    }
}
