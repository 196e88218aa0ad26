//! `GET /torrent/{infohash}`: what is known of a torrent, as a page or as the
//! summary of 2018.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path as Place, State};
use axum::http::{HeaderMap, Response, StatusCode, header};
use axum::response::IntoResponse;

use super::pages::TorrentPage;
use super::reading::{READING_MAX, Reins, within};
use super::sight::MINUTES;
use super::view::{refused_page, wants_page};
use super::{Observed, Observing};
use crate::model::InfoHash;
use crate::observe::pipeline::{archived, is_blocked};
use crate::storage::StorageError;
use crate::storage::observatory::SwarmEstimate;
use crate::storage::search::Hit;
use crate::torrent::metadata::METADATA_SIZE_MAX;
use crate::torrent::summary::Summary;
use crate::web::answer::{Refused, json, page};
use crate::web::app::App;
use crate::web::job::Jobs;

/// What is around the metadata in a torrent file of ours.
const AROUND: u64 = 1 << 20;

/// What is known of a torrent.
pub(super) struct Known {
    pub(super) info_hash: InfoHash,
    /// In the index.
    pub(super) hit: Option<Hit>,
    /// From the archive.
    pub(super) summary: Option<Summary>,
    /// Records of the last hour by kind.
    pub(super) asked: Vec<(String, u64)>,
    pub(super) swarm: Option<SwarmEstimate>,
}

impl Known {
    fn read(observed: &Observed, hash: InfoHash, reins: &Reins) -> Result<Self, StorageError> {
        let mut known = Self {
            info_hash: hash,
            hit: None,
            summary: None,
            asked: Vec::new(),
            swarm: None,
        };
        if observed.hides(&hash, None) {
            return Ok(known);
        }
        if !observed.hashes_only {
            let index = observed.index()?;
            reins.hold(index.stopper())?;
            known.hit = index.torrent(hash)?;
            known.summary = summary(&archived(&observed.folder, hash), hash);
            let name = known.hit.as_ref().map(|hit| hit.name.as_str());
            let blocked = known.summary.as_ref();
            let blocked = blocked.is_some_and(|it| is_blocked(&observed.blocked, it));
            if blocked || observed.hides(&hash, name) {
                (known.hit, known.summary) = (None, None);
                return Ok(known);
            }
        }
        let store = observed.store()?;
        reins.hold(store.stopper())?;
        if let Some(newest) = store.newest_minute()? {
            known.asked = store.asked_for(hash, newest - MINUTES + 1)?;
        }
        known.swarm = store.swarm(hash)?;
        Ok(known)
    }

    /// Whether there is nothing to tell.
    const fn is_unknown(&self) -> bool {
        self.hit.is_none()
            && self.summary.is_none()
            && self.swarm.is_none()
            && self.asked.is_empty()
    }

    /// The summary of 2018; without the archived file, it lists no files.
    fn into_summary(self) -> Option<Summary> {
        let Self { info_hash, hit, .. } = self;
        self.summary.or_else(|| {
            let hit = hit?;
            Some(Summary {
                infohash: info_hash,
                name: hit.name,
                num_files: hit.files,
                size: hit.size,
                files: Vec::new(),
            })
        })
    }
}

/// The summary of an archived file, if it is there and the torrent's.
fn summary(path: &Path, hash: InfoHash) -> Option<Summary> {
    let limit = METADATA_SIZE_MAX as u64 + AROUND;
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    read.ok()?;
    let summary = Summary::of_file(&bytes).ok()?;
    (summary.infohash == hash).then_some(summary)
}

impl Observing {
    /// What is known of a torrent, written by `write` where it was read: a hundred
    /// thousand files are no work for the page's own thread.
    async fn told(
        &self,
        jobs: &Jobs,
        hash: InfoHash,
        write: impl FnOnce(Known) -> Result<Response<Body>, Refused> + Send + 'static,
    ) -> Result<Response<Body>, Refused> {
        let observed = self.observed()?;
        let job = move |reins: &Reins| {
            let known = Known::read(&observed, hash, reins)?;
            if known.is_unknown() {
                let text = "this torrent was not heard of lately, and is not in the index";
                return Ok(Err(Refused::new(StatusCode::NOT_FOUND, text)));
            }
            Ok(write(known))
        };
        within(jobs, READING_MAX, job).await?
    }
}

/// `GET /torrent` without a hash: an error, as in 2018.
pub(in crate::web) async fn without_hash() -> Refused {
    wrong_hash()
}

fn wrong_hash() -> Refused {
    let text = "an info hash is wanted: /torrent/ and 40 hexadecimal digits";
    Refused::new(StatusCode::BAD_REQUEST, text)
}

/// `GET /torrent/{infohash}`.
pub(in crate::web) async fn torrent(
    State(app): State<Arc<App>>,
    Place(hash): Place<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let browser = wants_page(&headers);
    let mut answer = match answered(&app, &hash, browser).await {
        Ok(answer) => answer,
        Err(refused) if browser => refused_page(refused),
        Err(refused) => refused.into_response(),
    };
    let vary = header::HeaderValue::from_static("accept");
    answer.headers_mut().insert(header::VARY, vary);
    answer
}

async fn answered(app: &App, hash: &str, browser: bool) -> Result<Response<Body>, Refused> {
    let hash = hash.parse().map_err(|_| wrong_hash())?;
    let write = if browser { as_page } else { as_summary };
    app.observing.told(&app.jobs, hash, write).await
}

#[expect(clippy::unnecessary_wraps, reason = "what is told may be refused")]
fn as_page(known: Known) -> Result<Response<Body>, Refused> {
    Ok(page(StatusCode::OK, &TorrentPage::of(known)))
}

fn as_summary(known: Known) -> Result<Response<Body>, Refused> {
    let text = "this torrent was heard of, but nothing else is known";
    let summary = known
        .into_summary()
        .ok_or_else(|| Refused::new(StatusCode::NOT_FOUND, text))?;
    Ok(json(StatusCode::OK, &summary))
}
