//! UDP announces and scrapes (BEP 15).

use std::net::SocketAddr;

use super::{AnnounceCall, Event, TrackerMode, Trackers, compact};

/// First eight bytes of a connect request.
const MAGIC: u64 = 0x0417_2710_1980;

/// The one connection id of a swarm's UDP trackers.
const CONNECTION: u64 = 0x1122_3344_5566_7788;

const CONNECT: u32 = 0;
const ANNOUNCE: u32 = 1;
const SCRAPE: u32 = 2;
const ERROR: u32 = 3;

/// The fields that every request begins with.
struct Head {
    connection: u64,
    action: u32,
    transaction: u32,
}

fn read<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn head(datagram: &[u8]) -> Option<Head> {
    Some(Head {
        connection: u64::from_be_bytes(read(datagram, 0)?),
        action: u32::from_be_bytes(read(datagram, 8)?),
        transaction: u32::from_be_bytes(read(datagram, 12)?),
    })
}

fn packet(action: u32, transaction: u32, rest: &[u8]) -> Vec<u8> {
    let mut packet = action.to_be_bytes().to_vec();
    packet.extend_from_slice(&transaction.to_be_bytes());
    packet.extend_from_slice(rest);
    packet
}

impl Trackers {
    pub(super) fn answer_udp(
        &self,
        mode: TrackerMode,
        datagram: &[u8],
        from: SocketAddr,
    ) -> Vec<Vec<u8>> {
        let Some(head) = head(datagram) else {
            return Vec::new();
        };
        if mode == TrackerMode::UdpSilence {
            return Vec::new();
        }
        let (action, body) = match self.udp_body(mode, &head, datagram, from) {
            Some(body) => (head.action, body),
            None => (ERROR, b"practice: bad request".to_vec()),
        };
        let good = packet(action, head.transaction, &body);
        if head.action == CONNECT {
            let transaction = match mode {
                TrackerMode::UdpWrongTransaction => !head.transaction,
                _ => head.transaction,
            };
            return vec![packet(action, transaction, &body)];
        }
        match mode {
            TrackerMode::UdpWrongAction => vec![packet(77, head.transaction, &body)],
            TrackerMode::UdpShort => vec![good.get(..10).unwrap_or_default().to_vec()],
            TrackerMode::UdpError => {
                vec![packet(ERROR, head.transaction, b"practice: go away")]
            }
            TrackerMode::UdpNoisy => vec![
                packet(action, head.transaction.wrapping_sub(1), &body),
                b"foreign".to_vec(),
                good,
            ],
            _ => vec![good],
        }
    }

    /// What follows action and transaction id; `None` for a bad request.
    fn udp_body(
        &self,
        mode: TrackerMode,
        head: &Head,
        datagram: &[u8],
        from: SocketAddr,
    ) -> Option<Vec<u8>> {
        match (head.action, head.connection) {
            (CONNECT, MAGIC) => Some(CONNECTION.to_be_bytes().to_vec()),
            (ANNOUNCE, CONNECTION) => self.udp_announce(mode, datagram, from),
            (SCRAPE, CONNECTION) => Some(self.udp_scrape(mode, datagram)),
            _ => None,
        }
    }

    fn udp_announce(
        &self,
        mode: TrackerMode,
        datagram: &[u8],
        from: SocketAddr,
    ) -> Option<Vec<u8>> {
        let number = |at| Some(u64::from_be_bytes(read(datagram, at)?));
        let wanted = i32::from_be_bytes(read(datagram, 92)?);
        let call = AnnounceCall {
            torrent: self.torrent(&read::<20>(datagram, 16)?)?,
            downloaded: Some(number(56)?),
            left: Some(number(64)?),
            uploaded: Some(number(72)?),
            event: match u32::from_be_bytes(read(datagram, 80)?) {
                0 => Event::None,
                1 => Event::Completed,
                2 => Event::Started,
                3 => Event::Stopped,
                _ => return None,
            },
            port: u16::from_be_bytes(read(datagram, 96)?),
            wanted: usize::try_from(wanted).ok(),
            from: from.ip(),
        };
        let peers = self.announce(mode, &call);
        let figures = self.figures(call.torrent);
        let mut body = self.interval().to_be_bytes().to_vec();
        body.extend_from_slice(&figures.leechers.to_be_bytes());
        body.extend_from_slice(&figures.seeders.to_be_bytes());
        body.extend(peers.into_iter().flat_map(compact));
        Some(body)
    }

    /// Three numbers a torrent; zeros for one that is not served.
    fn udp_scrape(&self, mode: TrackerMode, datagram: &[u8]) -> Vec<u8> {
        let (hashes, _) = datagram.get(16..).unwrap_or_default().as_chunks::<20>();
        let mut body = Vec::new();
        for info_hash in hashes {
            let figures = self.torrent(info_hash).map(|it| self.scraped(mode, it));
            let numbers = figures.map_or([0; 3], |it| [it.seeders, it.completed, it.leechers]);
            body.extend(numbers.into_iter().flat_map(u32::to_be_bytes));
        }
        body
    }
}
