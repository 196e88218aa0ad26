//! Fetches the info dictionary of a magnet link from peers (BEP 9, BEP 10).
//!
//! Runs beside the measurement, on threads of its own: [`Fetcher::run`]
//! blocks its caller and talks to several peers at once, each on a thread
//! with [`fetch`]. Sent are a handshake, an extended handshake and requests
//! for metadata, nothing else; there is no code that asks for payload. What
//! was fetched is kept as a torrent file ([`MetadataCache`]).

mod cache;
mod fetch;
mod fetcher;

pub use cache::{MetadataCache, torrent_file};
pub use fetch::{FetchContext, FetchError, FetchSettings, fetch};
pub use fetcher::{FetchFailure, Fetcher, PeerSources};

/// Largest info dictionary that is fetched, in bytes: a torrent of 800,000
/// pieces.
pub const METADATA_SIZE_MAX: usize = 16 << 20;
