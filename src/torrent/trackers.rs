//! Which announce URLs of a torrent file are used (BEP 3, BEP 12).

use url::Url;

use crate::protocol::bencode::Value;

/// Longest URL that is used, in bytes.
const URL_LEN_MAX: usize = 2048;

/// Most URLs that one torrent is announced to.
const URLS_MAX: usize = 200;

/// Most unusable URLs that are named one by one.
const NAMED_MAX: usize = 5;

/// Announce URLs in their order, none twice, all of them usable; and what was
/// odd about the others.
#[derive(Debug, Default)]
pub(super) struct TrackerList {
    urls: Vec<String>,
    notes: Vec<String>,
    unusable: usize,
    beyond_limit: usize,
}

impl TrackerList {
    /// Reads `announce`, then every URL of every tier of `announce-list`.
    pub(super) fn of(file: Value<'_>) -> Self {
        let mut list = Self::default();
        let announce = file.get(b"announce").into_iter();
        let tiers = file.get(b"announce-list").and_then(Value::list);
        for value in announce.chain(tiers.into_iter().flatten()) {
            match value.list() {
                Some(tier) => tier.for_each(|url| list.push_value(url)),
                // Some programs write the URLs without tiers.
                None => list.push_value(value),
            }
        }
        list
    }

    /// Starts from URLs that were read before.
    pub(super) fn from_urls(urls: Vec<String>) -> Self {
        Self {
            urls,
            ..Self::default()
        }
    }

    fn push_value(&mut self, value: Value<'_>) {
        match value.bytes() {
            Some(bytes) => self.push(&String::from_utf8_lossy(bytes)),
            None => self.reject(&format!("a {}", value.kind()), "is no text"),
        }
    }

    /// Appends a URL, unless it is empty, there already or unusable.
    pub(super) fn push(&mut self, url: &str) {
        let url = url.trim();
        if url.is_empty() {
            return;
        }
        match usable(url) {
            Err(why) => self.reject(url, why),
            Ok(url) if self.urls.contains(&url) => {}
            Ok(_) if self.urls.len() >= URLS_MAX => self.beyond_limit += 1,
            Ok(url) => self.urls.push(url),
        }
    }

    fn reject(&mut self, what: &str, why: &str) {
        self.unusable += 1;
        if self.unusable <= NAMED_MAX {
            let shown: String = what.chars().take(100).collect();
            let shown = shown.escape_debug();
            self.notes
                .push(format!("announce URL \"{shown}\" left out: {why}"));
        }
    }

    /// The URLs, and a note for each oddity.
    pub(super) fn finish(mut self) -> (Vec<String>, Vec<String>) {
        if let Some(more @ 1..) = self.unusable.checked_sub(NAMED_MAX) {
            self.notes
                .push(format!("{more} more unusable announce URLs left out"));
        }
        if self.beyond_limit > 0 {
            self.notes.push(format!(
                "only the first {URLS_MAX} announce URLs are used, {} left out",
                self.beyond_limit
            ));
        }
        (self.urls, self.notes)
    }
}

/// The URL as it is used: as written, but for spaces, which are
/// percent-encoded; or why it is not used.
fn usable(url: &str) -> Result<String, &'static str> {
    if url.contains(char::REPLACEMENT_CHARACTER) {
        return Err("it is not UTF-8");
    }
    if url
        .chars()
        .any(|c| c.is_control() || c.is_whitespace() && c != ' ')
    {
        return Err("it contains control characters or white space");
    }
    let encoded = url.replace(' ', "%20");
    if encoded.len() > URL_LEN_MAX {
        return Err("it is longer than 2048 bytes");
    }
    let parsed = Url::parse(&encoded).map_err(|_| "it is no URL")?;
    if !matches!(parsed.scheme(), "http" | "https" | "udp") {
        return Err("only http, https and udp trackers can be asked");
    }
    if parsed.host_str().is_none_or(str::is_empty) {
        return Err("it names no host");
    }
    Ok(encoded)
}
