//! Plain types that every part of btda speaks: no sockets, no SQL, no clock.
//!
//! Raw integers and byte arrays live only inside codecs and SQL statements;
//! everything else passes these types.

mod info_hash;
mod peer;
mod peer_id;
mod pieces;
mod pseudonym;
mod reason;
pub mod record;
mod source;
mod timestamp;
mod torrent;

pub use info_hash::{InfoHash, InvalidInfoHash};
pub use peer::{PeerAddress, PeerKey};
pub use peer_id::PeerId;
pub use pieces::{PieceCount, PieceIndex, PieceSet, WrongBitfield};
pub use pseudonym::{Pseudonym, PseudonymKey};
pub use reason::{Event, Reason, VisitEnd};
pub use source::{Direction, Encryption, Link, Source, Transport};
pub use timestamp::Timestamp;
pub use torrent::{Torrent, TorrentId};
