//! One announce and one scrape outside a run, for the page.
//!
//! We are told of in the swarm as who we are: somebody who has nothing, takes
//! nothing, and leaves at once (`stopped`). Runs on the thread of one request.

use super::TrackerError;
use super::announce::{AnnounceAnswer, AnnounceEvent, AnnounceRequest, Totals};
use super::client::TrackerClient;
use super::state::Tracker;
use crate::model::InfoHash;
use crate::model::record::ScrapeFigures;

/// What is left where nobody knows the size: a block. Never 0, which would
/// make us a seed.
pub const LEFT_UNKNOWN: u64 = 16 * 1024;

/// A tracker that is asked for one torrent.
pub struct Inquiry<'a> {
    client: &'a TrackerClient,
    tracker: Tracker,
    info_hash: InfoHash,
    port: u16,
    left: u64,
}

impl<'a> Inquiry<'a> {
    /// Asks the tracker at `url` for `info_hash`, as somebody at `port` whom
    /// `size` bytes are left, where that is known.
    ///
    /// # Errors
    /// When `url` is none of a tracker.
    pub fn new(
        client: &'a TrackerClient,
        url: &str,
        info_hash: InfoHash,
        port: u16,
        size: Option<u64>,
    ) -> Result<Self, TrackerError> {
        let tracker = Tracker::new(url, client.settings.udp_default_port);
        if let Err(error) = &tracker.target {
            return Err(TrackerError::Url(*error));
        }
        Ok(Self {
            client,
            tracker,
            info_hash,
            port,
            left: size.unwrap_or(LEFT_UNKNOWN).max(1),
        })
    }

    /// Announces with `started`.
    pub fn announce(&self) -> Result<AnnounceAnswer, TrackerError> {
        let request = self.request(AnnounceEvent::Started, self.client.settings.num_want);
        let answer = self.tell(&request)?;
        self.tracker.acknowledged(answer.tracker_id.clone());
        Ok(answer)
    }

    /// The tracker's figures; `None` where it does not know the torrent.
    pub fn scrape(&self) -> Result<Option<ScrapeFigures>, TrackerError> {
        let wait = self.client.settings.timeout;
        let found = self.client.scrape(&self.tracker, &[self.info_hash], wait)?;
        Ok(found.into_iter().next().flatten())
    }

    /// Leaves the swarm with `stopped`, if the announce was acknowledged.
    pub fn leave(&self) -> Result<(), TrackerError> {
        if self.tracker.take_leave().is_none() {
            return Ok(());
        }
        self.tell(&self.request(AnnounceEvent::Stopped, Some(0)))
            .map(drop)
    }

    fn tell(&self, request: &AnnounceRequest) -> Result<AnnounceAnswer, TrackerError> {
        let wait = self.client.settings.timeout;
        let told = self.client.announce(&self.tracker, request, wait);
        told.map(|(answer, _)| answer)
    }

    fn request(&self, event: AnnounceEvent, num_want: Option<u32>) -> AnnounceRequest {
        AnnounceRequest {
            info_hash: self.info_hash,
            peer_id: self.client.peer_id,
            port: self.port,
            totals: Totals {
                uploaded: 0,
                downloaded: 0,
                left: self.left,
            },
            event: Some(event),
            num_want,
            key: self.client.key,
            tracker_id: self.tracker.tracker_id(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{World, hash, scrape_body};
    use super::*;

    const URL: &str = "http://t.example/announce?passkey=k";

    fn told(world: &World, size: Option<u64>) -> Vec<String> {
        world.http.set(
            "http://t.example/announce",
            "d8:completei3e8:intervali60e5:peers0:e",
        );
        world.http.set("http://t.example/scrape", scrape_body(&[0]));
        let inquiry = Inquiry::new(&world.context.client, URL, hash(0), 7001, size).unwrap();
        assert_eq!(inquiry.announce().unwrap().seeders, Some(3));
        assert!(inquiry.scrape().unwrap().is_some());
        inquiry.leave().unwrap();
        inquiry.leave().unwrap();
        world.http.take()
    }

    #[test]
    fn we_never_pose_as_a_seed_and_leave_once() {
        let world = World::new();
        for (size, left) in [(None, "16384"), (Some(0), "1"), (Some(77), "77")] {
            let asked = told(&world, size);
            assert_eq!(asked.len(), 3, "{asked:?}");
            for (url, event) in [(&asked[0], "started"), (&asked[2], "stopped")] {
                assert!(url.contains("passkey=k&info_hash="), "{url}");
                let figures = format!("&port=7001&uploaded=0&downloaded=0&left={left}&compact=1");
                assert!(url.contains(&figures), "{url}");
                assert!(url.contains(&format!("&event={event}")), "{url}");
            }
            assert!(asked[1].starts_with("http://t.example/scrape?passkey=k&info_hash="));
        }
    }

    #[test]
    fn who_was_not_let_in_does_not_leave() {
        let world = World::new();
        world.http.set(URL, "d14:failure reason2:noe");
        let inquiry = Inquiry::new(&world.context.client, URL, hash(0), 7001, None).unwrap();
        assert!(inquiry.announce().is_err());
        world.http.take();
        inquiry.leave().unwrap();
        assert_eq!(world.http.take(), [""; 0]);
        assert!(Inquiry::new(&world.context.client, "wss://t.example/", hash(0), 1, None).is_err());
    }
}
