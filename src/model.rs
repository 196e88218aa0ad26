//! Plain types that every part of btda speaks: no sockets, no SQL, no clock.
//!
//! Raw integers and byte arrays live only inside codecs and SQL statements;
//! everything else passes these types.

mod contact;
mod evidence;
mod file_kind;
pub mod have_delay;
mod info_hash;
mod ip_family;
pub mod misreporting;
mod network;
mod peer;
mod peer_id;
mod pieces;
mod pseudonym;
mod reason;
pub mod record;
mod reserved;
mod source;
mod timestamp;
mod torrent;

pub use contact::{AddressRules, Barred};
pub use evidence::Evidence;
pub use file_kind::{FileKind, InvalidFileKind};
pub use info_hash::{InfoHash, InvalidInfoHash};
pub use ip_family::IpFamily;
pub use network::{BadLine, Network, NetworkError, NetworkSet};
pub use peer::{PeerAddress, PeerKey};
pub use peer_id::PeerId;
pub use pieces::{PieceCount, PieceIndex, PieceSet, WrongBitfield};
pub use pseudonym::{InvalidPseudonym, Pseudonym, PseudonymKey};
pub use reason::{Event, Reason, VisitEnd};
pub use reserved::is_reserved;
pub use source::{Direction, Encryption, Link, Origin, Source, TrackerOrigin, Transport};
pub use timestamp::Timestamp;
pub use torrent::{Torrent, TorrentId};
