//! UDP trackers: packets (BEP 15) and the announce's URL data (BEP 41).
//!
//! Pure: typed requests and responses to and from bytes, in both directions,
//! so that a tracker can be played with the same code. The dialogue is in
//! [`super::exchange`].

use super::announce::{AnnounceAnswer, AnnounceEvent, AnnounceRequest, Totals};
use super::announce::{compact_v4, compact_v6};
use crate::model::record::ScrapeFigures;
use crate::model::{InfoHash, PeerId};

/// Torrents in one scrape (BEP 15).
pub const SCRAPE_MAX: usize = 74;

/// The constant that opens every connect request.
const PROTOCOL: u64 = 0x417_2710_1980;
const CONNECT: u32 = 0;
const ANNOUNCE: u32 = 1;
const SCRAPE: u32 = 2;
const ERROR: u32 = 3;
/// BEP 41: end of options, padding, and URL data.
const OPTION_END: u8 = 0;
const OPTION_PADDING: u8 = 1;
const OPTION_URL: u8 = 2;

/// Random number by which an answer is known to be ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransactionId(pub u32);

/// Proof that our address is not forged; good for a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub u64);

/// What we send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Asks for a connection id.
    Connect,
    /// Asks for peers.
    Announce {
        /// From the connect response.
        connection: ConnectionId,
        /// The announce; its `tracker_id` does not exist here.
        announce: Box<AnnounceRequest>,
        /// Path and query of the announce URL (BEP 41).
        url_data: Vec<u8>,
    },
    /// Asks for figures of up to [`SCRAPE_MAX`] torrents.
    Scrape {
        /// From the connect response.
        connection: ConnectionId,
        /// Which torrents; further ones are not sent.
        hashes: Vec<InfoHash>,
    },
}

/// What a tracker sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// Gives a connection id.
    Connect(ConnectionId),
    /// Gives peers.
    Announce(AnnounceAnswer),
    /// Gives figures, in the order in which they were asked for.
    Scrape(Vec<ScrapeFigures>),
    /// Refuses.
    Error(Vec<u8>),
}

/// The datagram is too short for what it says to be, or of unknown action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MalformedPacket;

impl Request {
    /// The datagram.
    pub fn encode(&self, transaction: TransactionId) -> Vec<u8> {
        let head = |connection: u64, action: u32| {
            let mut packet = Vec::with_capacity(128);
            packet.extend(connection.to_be_bytes());
            packet.extend(action.to_be_bytes());
            packet.extend(transaction.0.to_be_bytes());
            packet
        };
        match self {
            Self::Connect => head(PROTOCOL, CONNECT),
            Self::Announce {
                connection,
                announce,
                url_data,
            } => {
                let mut packet = head(connection.0, ANNOUNCE);
                encode_announce(&mut packet, announce);
                for part in url_data.chunks(255) {
                    packet.push(OPTION_URL);
                    // Chunks of 255 fit a byte.
                    packet.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
                    packet.extend(part);
                }
                packet
            }
            Self::Scrape { connection, hashes } => {
                let mut packet = head(connection.0, SCRAPE);
                for hash in hashes.iter().take(SCRAPE_MAX) {
                    packet.extend(hash.as_bytes());
                }
                packet
            }
        }
    }

    /// Reads a request, as a tracker does.
    pub fn decode(packet: &[u8]) -> Result<(TransactionId, Self), MalformedPacket> {
        let mut reader = Reader(packet);
        let connection = reader.u64()?;
        let action = reader.u32()?;
        let transaction = TransactionId(reader.u32()?);
        let request = match action {
            CONNECT if connection == PROTOCOL => Self::Connect,
            ANNOUNCE => Self::Announce {
                connection: ConnectionId(connection),
                announce: Box::new(decode_announce(&mut reader)?),
                url_data: decode_url_data(reader.0),
            },
            SCRAPE => {
                let (hashes, _) = reader.0.as_chunks::<20>();
                Self::Scrape {
                    connection: ConnectionId(connection),
                    hashes: hashes
                        .iter()
                        .take(SCRAPE_MAX)
                        .map(|&hash| InfoHash::new(hash))
                        .collect(),
                }
            }
            _ => return Err(MalformedPacket),
        };
        Ok((transaction, request))
    }
}

/// Byte order and places of BEP 15; our IP address is left to the tracker.
fn encode_announce(packet: &mut Vec<u8>, announce: &AnnounceRequest) {
    let event: u32 = match announce.event {
        None => 0,
        Some(AnnounceEvent::Started) => 2,
        Some(AnnounceEvent::Stopped) => 3,
    };
    let wanted = announce
        .num_want
        .map_or(-1, |number| i32::try_from(number).unwrap_or(i32::MAX));
    packet.extend(announce.info_hash.as_bytes());
    packet.extend(announce.peer_id.as_bytes());
    packet.extend(announce.totals.downloaded.to_be_bytes());
    packet.extend(announce.totals.left.to_be_bytes());
    packet.extend(announce.totals.uploaded.to_be_bytes());
    packet.extend(event.to_be_bytes());
    packet.extend([0; 4]);
    packet.extend(announce.key.to_be_bytes());
    packet.extend(wanted.to_be_bytes());
    packet.extend(announce.port.to_be_bytes());
}

fn decode_announce(reader: &mut Reader<'_>) -> Result<AnnounceRequest, MalformedPacket> {
    let info_hash = InfoHash::new(reader.array()?);
    let peer_id = PeerId::new(reader.array()?);
    let downloaded = reader.u64()?;
    let left = reader.u64()?;
    let uploaded = reader.u64()?;
    let event = match reader.u32()? {
        2 => Some(AnnounceEvent::Started),
        3 => Some(AnnounceEvent::Stopped),
        _ => None,
    };
    let _address = reader.u32()?;
    let key = reader.u32()?;
    let wanted = reader.u32()?;
    Ok(AnnounceRequest {
        info_hash,
        peer_id,
        port: u16::from_be_bytes(reader.array()?),
        totals: Totals {
            uploaded,
            downloaded,
            left,
        },
        event,
        num_want: i32::from_be_bytes(wanted.to_be_bytes()).try_into().ok(),
        key,
        tracker_id: None,
    })
}

fn decode_url_data(options: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    let mut rest = options;
    while let Some((&option, behind)) = rest.split_first() {
        rest = match option {
            OPTION_END => break,
            OPTION_PADDING => behind,
            _ => {
                let Some((&length, behind)) = behind.split_first() else {
                    break;
                };
                let Some((part, behind)) = behind.split_at_checked(usize::from(length)) else {
                    break;
                };
                if option == OPTION_URL {
                    data.extend(part);
                }
                behind
            }
        };
    }
    data
}

impl Response {
    /// Reads a response; `ipv6` tells the size of its peers, which is that of
    /// the addresses over which it came.
    pub fn decode(packet: &[u8], ipv6: bool) -> Result<(TransactionId, Self), MalformedPacket> {
        let mut reader = Reader(packet);
        let action = reader.u32()?;
        let transaction = TransactionId(reader.u32()?);
        let response = match action {
            CONNECT => Self::Connect(ConnectionId(reader.u64()?)),
            ANNOUNCE => Self::Announce(decode_answer(&mut reader, ipv6)?),
            SCRAPE => {
                let (entries, _) = reader.0.as_chunks::<12>();
                let figures = entries.iter().take(SCRAPE_MAX);
                Self::Scrape(figures.map(decode_figures).collect::<Result<_, _>>()?)
            }
            ERROR => {
                let text = reader.0.strip_suffix(b"\0").unwrap_or(reader.0);
                Self::Error(text.to_vec())
            }
            _ => return Err(MalformedPacket),
        };
        Ok((transaction, response))
    }

    /// The datagram that a tracker sends over IPv4; peers that are not IPv4
    /// are left out.
    pub fn encode(&self, transaction: TransactionId) -> Vec<u8> {
        let head = |action: u32| {
            let mut packet = action.to_be_bytes().to_vec();
            packet.extend(transaction.0.to_be_bytes());
            packet
        };
        match self {
            Self::Connect(connection) => {
                let mut packet = head(CONNECT);
                packet.extend(connection.0.to_be_bytes());
                packet
            }
            Self::Announce(answer) => {
                let mut packet = head(ANNOUNCE);
                for number in [answer.interval, answer.leechers, answer.seeders] {
                    packet.extend(number.unwrap_or(0).to_be_bytes());
                }
                for peer in &answer.peers {
                    if let std::net::IpAddr::V4(ip) = peer.ip() {
                        packet.extend(ip.octets());
                        packet.extend(peer.port().to_be_bytes());
                    }
                }
                packet
            }
            Self::Scrape(figures) => {
                let mut packet = head(SCRAPE);
                for entry in figures {
                    for number in [entry.seeders, entry.completed, entry.leechers] {
                        packet.extend(number.unwrap_or(0).to_be_bytes());
                    }
                }
                packet
            }
            Self::Error(text) => {
                let mut packet = head(ERROR);
                packet.extend(text);
                packet
            }
        }
    }
}

fn decode_answer(reader: &mut Reader<'_>, ipv6: bool) -> Result<AnnounceAnswer, MalformedPacket> {
    let mut answer = AnnounceAnswer {
        interval: Some(reader.u32()?),
        leechers: Some(reader.u32()?),
        seeders: Some(reader.u32()?),
        ..AnnounceAnswer::default()
    };
    if ipv6 {
        compact_v6(reader.0).for_each(|peer| answer.push(peer));
    } else {
        compact_v4(reader.0).for_each(|peer| answer.push(peer));
    }
    Ok(answer)
}

fn decode_figures(entry: &[u8; 12]) -> Result<ScrapeFigures, MalformedPacket> {
    let mut reader = Reader(entry);
    Ok(ScrapeFigures {
        seeders: Some(reader.u32()?),
        completed: Some(reader.u32()?),
        leechers: Some(reader.u32()?),
    })
}

/// Takes numbers from the front.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], MalformedPacket> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(MalformedPacket)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u32(&mut self) -> Result<u32, MalformedPacket> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, MalformedPacket> {
        self.array().map(u64::from_be_bytes)
    }
}

#[cfg(test)]
mod tests;
