//! HTTP announces and scrapes: `/<mode>/announce`, `/<mode>/scrape`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use super::super::bencode::{Item, append_bytes};
use super::super::pool::Pool;
use super::super::scripted_tracker::{HttpRequest, Reply, exchange};
use super::super::sockets;
use super::{AnnounceCall, Event, TrackerMode, Trackers, bomb, compact};

/// Accepts on `listener` until the lab is to stop; the pool answers.
pub(in super::super) fn serve(trackers: &Arc<Trackers>, pool: &Arc<Pool>, listener: &TcpListener) {
    while let Some((stream, from)) = sockets::accept(listener, &trackers.story.stop) {
        let trackers = Arc::clone(trackers);
        // A request without an answer is a failure of the tracker, and counts
        // as one for the analyzer; nothing else depends on it.
        let _ = pool.run(move || trackers.talk(stream, from.ip()));
    }
}

impl Trackers {
    fn talk(&self, stream: TcpStream, from: IpAddr) {
        let story = &self.story;
        // An exchange that breaks off is the analyzer's affair.
        let _ = exchange(stream, &*story.clock, &story.stop, &mut |request| {
            self.answer_http(request, from)
        });
    }

    fn answer_http(&self, request: &HttpRequest, from: IpAddr) -> Reply {
        let mut parts = request.path().trim_start_matches('/').split('/');
        let mode = parts
            .next()
            .and_then(|name| TrackerMode::all().find(|mode| mode.as_str() == name));
        match (mode, parts.next()) {
            (Some(mode), Some("announce")) => self.http_announce(mode, request, from),
            (Some(mode), Some("scrape")) => self.http_scrape(mode, request),
            _ => Reply::with_headers("404 Not Found", "", b"no such tracker"),
        }
    }

    fn http_announce(&self, mode: TrackerMode, request: &HttpRequest, from: IpAddr) -> Reply {
        let torrent = request
            .values("info_hash")
            .next()
            .and_then(|info_hash| self.torrent(&info_hash));
        let Some(torrent) = torrent else {
            return failure("unregistered torrent");
        };
        let number = |key| request.value(key)?.parse().ok();
        let call = AnnounceCall {
            torrent,
            event: match request.value("event").as_deref() {
                Some("started") => Event::Started,
                Some("stopped") => Event::Stopped,
                Some("completed") => Event::Completed,
                _ => Event::None,
            },
            uploaded: number("uploaded"),
            downloaded: number("downloaded"),
            left: number("left"),
            port: number("port")
                .and_then(|port| u16::try_from(port).ok())
                .unwrap_or(0),
            wanted: number("numwant").and_then(|wanted| usize::try_from(wanted).ok()),
            from,
        };
        let peers = self.announce(mode, &call);
        if let Some(wrong) = misbehave(mode, &request.target) {
            return wrong;
        }
        let (mut peers6, mut peers) = (Vec::new(), peers);
        if mode != TrackerMode::HttpDictionary {
            // BEP 7: a key of their own.
            (peers6, peers) = peers.into_iter().partition(SocketAddr::is_ipv6);
        }
        let peers = match mode {
            TrackerMode::HttpDictionary => Item::List(
                peers
                    .iter()
                    .map(|peer| {
                        Item::dict([
                            ("ip", Item::text(&peer.ip().to_string())),
                            ("peer id", Item::Bytes(vec![b'x'; 20])),
                            ("port", Item::Number(peer.port().into())),
                        ])
                    })
                    .collect(),
            ),
            TrackerMode::IntegerPeers => Item::Number(5),
            _ => Item::Bytes(peers.into_iter().flat_map(compact).collect()),
        };
        let figures = self.figures(torrent);
        let mut answer = BTreeMap::from([
            ("complete", Item::Number(figures.seeders.into())),
            ("incomplete", Item::Number(figures.leechers.into())),
            ("interval", Item::Number(self.interval().into())),
            ("peers", peers),
        ]);
        let peers6: Vec<u8> = peers6.into_iter().flat_map(compact).collect();
        answer.extend((!peers6.is_empty()).then_some(("peers6", Item::Bytes(peers6))));
        Reply::ok(&Item::Dict(answer).encode())
    }

    /// Figures of every torrent asked for that exists (BEP 48).
    fn http_scrape(&self, mode: TrackerMode, request: &HttpRequest) -> Reply {
        let mut found: Vec<(Vec<u8>, usize)> = request
            .values("info_hash")
            .filter_map(|info_hash| self.torrent(&info_hash).map(|index| (info_hash, index)))
            .collect();
        found.sort();
        found.dedup();
        let mut body = b"d5:filesd".to_vec();
        for (info_hash, torrent) in found {
            let figures = self.scraped(mode, torrent);
            append_bytes(&mut body, &info_hash);
            let item = Item::dict([
                ("complete", Item::Number(figures.seeders.into())),
                ("downloaded", Item::Number(figures.completed.into())),
                ("incomplete", Item::Number(figures.leechers.into())),
            ]);
            body.extend_from_slice(&item.encode());
        }
        body.extend_from_slice(b"ee");
        if mode == TrackerMode::IntegerPeers {
            return Reply::ok(b"d5:filesi5ee");
        }
        misbehave(mode, &request.target).unwrap_or_else(|| Reply::ok(&body))
    }
}

fn failure(reason: &str) -> Reply {
    Reply::ok(&Item::dict([("failure reason", Item::text(reason))]).encode())
}

/// The answer of a mode that is wrong whatever was asked.
fn misbehave(mode: TrackerMode, target: &str) -> Option<Reply> {
    Some(match mode {
        TrackerMode::FailureReason => failure("practice failure, please go away"),
        TrackerMode::NonDictionary => Reply::ok(b"l5:peers0:e"),
        TrackerMode::Html => Reply::with_headers(
            "200 OK",
            "Content-Type: text/html\r\n",
            b"<!DOCTYPE html><html><body>Domain for sale</body></html>",
        ),
        TrackerMode::Status500 => {
            Reply::with_headers("500 Internal Server Error", "", b"out of order")
        }
        TrackerMode::HttpSilence => Reply::Silence,
        TrackerMode::EndlessBody => Reply::Endless(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nd5:peers".to_vec(),
            vec![b'9'; 64 * 1024],
        ),
        TrackerMode::CompressedBomb => {
            Reply::with_headers("200 OK", "Content-Encoding: gzip\r\n", bomb::gzip())
        }
        TrackerMode::RedirectLoop => {
            // Only characters that a request line can carry come back.
            Reply::with_headers("302 Found", &format!("Location: {target}\r\n"), b"")
        }
        _ => return None,
    })
}
