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
        let story = Arc::clone(story);
        pool.run(move || answer(&story, index, address, stream));
    }
}

/// The peer that was called; `None` when nobody has that address and port.
fn called(story: &Story, directory: &Directory, stream: &TcpStream) -> Option<(usize, SocketAddr)> {
    let address = stream.local_addr().ok()?;
    let index = *directory.get(&address.ip())?;
    let peer = story.plan.peers.get(index)?;
    (story.address_of(peer) == address).then_some((index, address))
}

fn answer(story: &Story, index: usize, address: SocketAddr, stream: TcpStream) {
    let (Some(peer), Some(visits)) = (story.plan.peers.get(index), story.peer_visits.get(index))
    else {
        return;
    };
    let meeting = Meeting {
        direction: Direction::Outgoing,
        party: index,
        address,
        visit: visits.fetch_add(1, Ordering::AcqRel),
        started: story.clock.timestamp(),
    };
    story.record(meet(story, peer, &meeting, stream));
}
