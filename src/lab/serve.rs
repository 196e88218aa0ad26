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
use super::pool::Pool;
use super::sockets;
use super::story::Story;
use super::truth::End;
use crate::model::{Direction, Timestamp};

/// Index of each peer by its address.
pub(super) type Directory = Arc<HashMap<IpAddr, usize>>;

/// Accepts on `listener` until the lab is to stop.
pub(super) fn serve(
    story: &Arc<Story>,
    pool: &Arc<Pool>,
    directory: &Directory,
    listener: &TcpListener,
) {
    while let Some((stream, _)) = sockets::accept(listener, &story.stop) {
        let Some((index, address)) = called(story, directory, &stream) else {
            continue;
        };
        let call = Call {
            peer: index,
            address,
            started: story.clock.timestamp(),
        };
        let served = Arc::clone(story);
        let job = move || answer(&served, call, stream);
        if !pool.run(job)
            && let Some(peer) = story.plan.peers.get(index)
            && let Some(meeting) = call.visit(story)
        {
            let contact = meeting.contact(peer, End::NotServed, story.clock.timestamp());
            story.record(contact);
        }
    }
}

/// A connection that was accepted.
#[derive(Clone, Copy)]
struct Call {
    peer: usize,
    address: SocketAddr,
    started: Timestamp,
}

impl Call {
    fn meeting(self, visit: u32) -> Meeting {
        Meeting {
            direction: Direction::Outgoing,
            party: self.peer,
            address: self.address,
            visit,
            started: self.started,
        }
    }

    /// As the next visit of the peer.
    fn visit(self, story: &Story) -> Option<Meeting> {
        let visits = story.peer_visits.get(self.peer)?;
        Some(self.meeting(visits.fetch_add(1, Ordering::AcqRel)))
    }
}

/// The peer that was called; `None` when nobody has that address and port.
fn called(story: &Story, directory: &Directory, stream: &TcpStream) -> Option<(usize, SocketAddr)> {
    let address = stream.local_addr().ok()?;
    let index = *directory.get(&address.ip())?;
    let peer = story.plan.peers.get(index)?;
    (story.address_of(peer) == address).then_some((index, address))
}

fn answer(story: &Story, call: Call, stream: TcpStream) {
    let Some(peer) = story.plan.peers.get(call.peer) else {
        return;
    };
    let torrent = story.plan.torrents.get(peer.torrent);
    let magnet = torrent.is_some_and(|torrent| torrent.magnet.is_some());
    if magnet && asks_for_metadata(story, &stream) {
        let conversation = meet_for_metadata(story, peer, &call.meeting(0), stream);
        story.record_metadata(&conversation);
    } else if let Some(meeting) = call.visit(story) {
        story.record(meet(story, peer, &meeting, stream));
    }
}
