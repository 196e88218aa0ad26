//! `GET /search`: results as a page with their places on a map, or as JSON.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Response, StatusCode, header};
use axum::response::IntoResponse;

use super::pages::SearchPage;
use super::reading::{READING_MAX, Reins, within};
use super::view::{refused_page, wants_page};
use super::{Observed, Observing};
use crate::model::FileKind;
use crate::observe::search_command::as_json;
use crate::observe::terms;
use crate::storage::StorageError;
use crate::storage::search::{Found, LIMIT, Query};
use crate::web::answer::{Refused, json, page};
use crate::web::app::App;
use crate::web::input::field;
use crate::web::job::Jobs;

/// Characters of what is looked for that count.
const WORDS_MAX: usize = 500;

/// Characters of a filter.
const FILTER_MAX: usize = 40;

/// Last page; whoever wants more asks for something rarer.
pub(super) const PAGES_MAX: usize = 200;

/// What an address asks for, as it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) q: String,
    pub(super) country: String,
    pub(super) min: String,
    pub(super) max: String,
    pub(super) since: String,
    pub(super) until: String,
    pub(super) kind: String,
    /// From 1.
    pub(super) page: usize,
}

impl Asked {
    fn of(query: Option<&str>) -> Self {
        let short = |name: &str, most: usize| -> String {
            field(query, name).trim().chars().take(most).collect()
        };
        let filter = |name: &str| short(name, FILTER_MAX);
        let number = filter("page").parse().unwrap_or(1);
        Self {
            q: short("q", WORDS_MAX),
            country: filter("country"),
            min: filter("min"),
            max: filter("max"),
            since: filter("since"),
            until: filter("until"),
            kind: filter("kind"),
            page: usize::clamp(number, 1, PAGES_MAX),
        }
    }

    /// The query; the error names the wrong filter.
    fn query(&self) -> Result<Query, String> {
        Ok(Query {
            words: self.q.clone(),
            country: filter("country", &self.country, terms::country)?,
            size_min: filter("min", &self.min, terms::size)?,
            size_max: filter("max", &self.max, terms::size)?,
            since: filter("since", &self.since, terms::day)?,
            until: filter("until", &self.until, terms::day)?,
            kind: filter("kind", &self.kind, |kind| {
                kind.parse::<FileKind>().map_err(|error| error.to_string())
            })?,
            limit: LIMIT,
            offset: (self.page - 1) * LIMIT,
        })
    }

    /// The same in an address, percent-encoded, without the page.
    pub(super) fn address(&self) -> String {
        let mut pairs = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("q", &self.q),
            ("country", &self.country),
            ("min", &self.min),
            ("max", &self.max),
            ("since", &self.since),
            ("until", &self.until),
            ("kind", &self.kind),
        ] {
            if !value.is_empty() {
                pairs.append_pair(name, value);
            }
        }
        pairs.finish()
    }
}

/// The value of a filter, if there is one.
fn filter<T>(
    name: &str,
    text: &str,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = |error| format!("{name}: {error}");
    read(text).map(Some).map_err(wrong)
}

impl Observing {
    /// What is found, and how long it took.
    async fn search(&self, jobs: &Jobs, query: Query) -> Result<(Found, Duration), Refused> {
        let observed = self.observed()?;
        if observed.hashes_only {
            let text =
                "this observatory keeps no names (observe.hashes_only): there is nothing to search";
            return Err(Refused::new(StatusCode::NOT_FOUND, text));
        }
        let began = self.clock.now();
        let job = move |reins: &Reins| search(&observed, &query, reins);
        let found = within(jobs, READING_MAX, job).await?;
        let took = self.clock.now().saturating_duration_since(began);
        Ok((found, took))
    }
}

fn search(observed: &Observed, query: &Query, reins: &Reins) -> Result<Found, StorageError> {
    let index = observed.index()?;
    reins.hold(index.stopper())?;
    let mut found = index.search(query)?;
    let shown =
        |hit: &crate::storage::search::Hit| !observed.hides(&hit.info_hash, Some(&hit.name));
    found.hits.retain(shown);
    Ok(found)
}

/// `GET /search`.
pub(in crate::web) async fn results(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    let asked = Asked::of(query.as_deref());
    let browser = wants_page(&headers);
    let mut answer = match answered(&app, asked, browser).await {
        Ok(answer) => answer,
        Err(refused) if browser => refused_page(refused),
        Err(refused) => refused.into_response(),
    };
    let vary = header::HeaderValue::from_static("accept");
    answer.headers_mut().insert(header::VARY, vary);
    answer
}

async fn answered(app: &App, asked: Asked, browser: bool) -> Result<Response<Body>, Refused> {
    let query = match asked.query() {
        Ok(query) => query,
        Err(wrong) if browser => {
            app.observing.observed()?;
            let filled = SearchPage::wrong(asked, wrong);
            return Ok(page(StatusCode::BAD_REQUEST, &filled));
        }
        Err(wrong) => return Err(Refused::new(StatusCode::BAD_REQUEST, wrong)),
    };
    let (found, took) = app.observing.search(&app.jobs, query).await?;
    Ok(if browser {
        page(StatusCode::OK, &SearchPage::of(asked, &found, took))
    } else {
        json(StatusCode::OK, &as_json(&found, took.as_secs_f64()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_within_limits() {
        let asked = Asked::of(Some(
            "q=+a%3Cb&min=700M&max=5G&country=de&kind=video&since=2026-01-02&page=3",
        ));
        let query = asked.query().unwrap();
        assert_eq!((query.words.as_str(), query.offset), ("a<b", 2 * LIMIT));
        assert_eq!(query.size_min, Some(700_000_000));
        assert_eq!(
            asked.address(),
            "q=a%3Cb&country=de&min=700M&max=5G&since=2026-01-02&kind=video"
        );
        let long = format!("q={}&page=99999999999999999999", "x".repeat(10_000));
        let asked = Asked::of(Some(&long));
        assert_eq!((asked.q.len(), asked.page), (WORDS_MAX, 1));
        let far = Asked::of(Some("q=x&page=4000000"));
        assert_eq!(far.page, PAGES_MAX);
        for (wrong, name) in [
            ("country=deu", "country"),
            ("min=5X", "min"),
            ("max=-1", "max"),
            ("since=now", "since"),
            ("until=2026-13-01", "until"),
            ("kind=film", "kind"),
        ] {
            let error = Asked::of(Some(wrong)).query().unwrap_err();
            assert!(error.starts_with(name), "{error}");
        }
    }
}
