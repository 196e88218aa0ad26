//! Accepts calls for all peers of the swarm.
//!
//! On Linux all of 127.0.0.0/8 is local, so one listener on the wildcard
//! address serves thousands of peer addresses; the address that was called
//! tells which peer is meant. One thread accepts, the pool talks.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::peer::{Meeting, meet};
use super::pool::Pool;
use super::sockets;
use super::story::Story;
use super::truth::End;
use crate::model::Direction;

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
        let Some(meeting) = meeting(story, index, address) else {
            continue;
        };
        let served = Arc::clone(story);
        let job = move || answer(&served, &meeting, stream);
        if !pool.run(job)
            && let Some(peer) = story.plan.peers.get(index)
        {
            let contact = meeting.contact(peer, End::NotServed, story.clock.timestamp());
            story.record(contact);
        }
    }
}

/// The peer that was called; `None` when nobody has that address and port.
fn called(story: &Story, directory: &Directory, stream: &TcpStream) -> Option<(usize, SocketAddr)> {
    let address = stream.local_addr().ok()?;
    let index = *directory.get(&address.ip())?;
    let peer = story.plan.peers.get(index)?;
    (story.address_of(peer) == address).then_some((index, address))
}

fn meeting(story: &Story, index: usize, address: SocketAddr) -> Option<Meeting> {
    let visits = story.peer_visits.get(index)?;
    Some(Meeting {
        direction: Direction::Outgoing,
        party: index,
        address,
        visit: visits.fetch_add(1, Ordering::AcqRel),
        started: story.clock.timestamp(),
    })
}

fn answer(story: &Story, meeting: &Meeting, stream: TcpStream) {
    if let Some(peer) = story.plan.peers.get(meeting.party) {
        story.record(meet(story, peer, meeting, stream));
    }
}
