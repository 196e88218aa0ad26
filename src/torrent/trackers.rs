//! Which announce URLs of a torrent file are used (BEP 3, BEP 12).

use url::Url;

use crate::protocol::bencode::Value;

/// Longest URL that is used, in bytes.
const URL_LEN_MAX: usize = 2048;

/// Most URLs that one torrent is announced to.
const URLS_MAX: usize = 200;

/// Most URLs that are looked at: a file can hold millions, and each is parsed.
const LOOKED_AT_MAX: usize = 10_000;

/// Most unusable URLs that are named one by one.
const NAMED_MAX: usize = 5;

/// Announce URLs in their order, none twice, all of them usable; and what was
/// odd about the others.
#[derive(Debug, Default)]
pub(super) struct TrackerList {
    urls: Vec<String>,
    notes: Vec<String>,
    looked_at: usize,
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
        if self.looked_at >= LOOKED_AT_MAX {
            self.beyond_limit += 1;
            return;
        }
        self.looked_at += 1;
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
                "only {URLS_MAX} announce URLs are used, and only the first {LOOKED_AT_MAX} looked at: {} left out",
                self.beyond_limit
            ));
        }
        (self.urls, self.notes)
    }
}

/// The URL of a tracker that strangers name, as it is used, or why it is not:
/// by the rules for torrent files, and besides it must name its host. Addresses
/// are looked at by nobody else, and stored by nobody.
///
/// # Errors
/// Why it is not used, in words.
pub fn named_by_strangers(url: &str) -> Result<String, &'static str> {
    let url = usable(url.trim())?;
    let parsed = Url::parse(&url).map_err(|_| "it is no URL")?;
    // The parser knows numbers as hosts of http only.
    let host = parsed.host_str().unwrap_or_default();
    let last = host.rsplit('.').find(|label| !label.is_empty());
    let number = last.is_none_or(|last| last.starts_with(|c: char| c.is_ascii_digit()));
    if number || host.starts_with('[') {
        return Err("its host is an address");
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("it has a user name");
    }
    Ok(url)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn list(file: &str) -> (Vec<String>, Vec<String>) {
        TrackerList::of(Value::parse(file.as_bytes()).unwrap()).finish()
    }

    fn text(url: &str) -> String {
        format!("{}:{url}", url.len())
    }

    fn announce(url: &str) -> (Vec<String>, Vec<String>) {
        list(&format!("d8:announce{}e", text(url)))
    }

    #[test]
    fn announce_first_then_every_tier_without_repeats() {
        let [a, b, c, d] = ["udp://a:1", "http://b/x", "https://c/", "HTTP://D/"].map(text);
        let (urls, notes) = list(&format!(
            "d8:announce{b}13:announce-listll{a}{b}el{c}{a}elel{d}0:eee"
        ));
        assert_eq!(urls, ["http://b/x", "udp://a:1", "https://c/", "HTTP://D/"]);
        assert_eq!(notes, Vec::<String>::new());
    }

    #[test]
    fn odd_shapes_are_read() {
        let [a, b] = ["udp://a:1", "http://b/x"].map(text);
        let (urls, _) = list(&format!("d13:announce-listl{a}l{b}eee"));
        assert_eq!(urls, ["udp://a:1", "http://b/x"], "no tiers");
        let (urls, _) = list(&format!("d8:announcel{a}{b}ee"));
        assert_eq!(urls, ["udp://a:1", "http://b/x"], "a list as announce");
        let (urls, notes) = list(&format!("d8:announcei7e13:announce-listll{a}i1eeee"));
        assert_eq!(urls, ["udp://a:1"]);
        assert_eq!(notes.len(), 2);
        assert_eq!(list("d13:announce-list3:abce"), (vec![], vec![]));
        assert_eq!(list("de"), (vec![], vec![]));
    }

    #[test]
    fn urls_are_kept_as_written() {
        for url in [
            "http://t.example/announce?passkey=a,b&x=%2F",
            "http://user:pw@t.example:8080/announce.php",
            "http://[2001:db8::1]:6969/announce",
            "udp://t.example",
        ] {
            assert_eq!(announce(url), (vec![url.to_owned()], vec![]));
        }
        assert_eq!(
            announce(" \r\n http://t.example/a \n").0,
            ["http://t.example/a"]
        );
        assert_eq!(
            announce("http://t.example/a b/c d").0,
            ["http://t.example/a%20b/c%20d"]
        );
        assert_eq!(announce("  "), (vec![], vec![]), "empty ones are no news");
    }

    #[test]
    fn unusable_urls_are_noted() {
        let long = format!("http://t.example/{}", "a".repeat(2048));
        for (url, why) in [
            ("wss://t.example/announce", "only http, https and udp"),
            ("dht://0123", "only http, https and udp"),
            ("t.example/announce", "no URL"),
            ("http://", "no URL"),
            ("udp:///announce", "no host"),
            ("http://t.example/a\nb", "control characters"),
            ("http://t.example/a\tb", "control characters"),
            ("http://t.example/a\0b", "control characters"),
            ("http://t.example/a\u{a0}b", "white space"),
            (&long, "longer than 2048"),
        ] {
            let (urls, notes) = announce(url);
            assert_eq!(urls, Vec::<String>::new(), "{url}");
            assert!(notes.len() == 1 && notes[0].contains(why), "{notes:?}");
            assert!(!notes[0].contains(char::is_control) && notes[0].len() < 250);
        }
        let raw = Value::parse(b"d8:announce9:http://\xff/e").unwrap();
        let (urls, notes) = TrackerList::of(raw).finish();
        assert!(urls.is_empty() && notes[0].contains("UTF-8"), "{notes:?}");
    }

    #[test]
    fn strangers_name_hosts_and_no_addresses() {
        for url in [
            "http://t.example/announce",
            "udp://localhost:6969",
            "https://a.b.c:1/x",
        ] {
            assert_eq!(named_by_strangers(url).as_deref(), Ok(url));
        }
        for url in [
            "http://192.0.2.1/announce",
            "udp://192.0.2.1:6969",
            "udp://3221225985:6969",
            "http://3221225985/",
            "http://0xc0000201/",
            "http://[2001:db8::1]/",
            "udp://[2001:db8::1]:1/",
            "http://192.0.2.1./",
            "http://user:word@t.example/",
            "ws://t.example/",
            "no url",
        ] {
            assert!(named_by_strangers(url).is_err(), "{url}");
        }
    }

    #[test]
    fn the_number_of_urls_and_notes_is_limited() {
        let many: String = (0..300).map(|n| text(&format!("udp://t{n}:1"))).collect();
        let wrong = text("ws://a").repeat(50);
        let (urls, notes) = list(&format!("d13:announce-listll{wrong}{many}eee"));
        assert_eq!((urls.len(), urls[199].as_str()), (200, "udp://t199:1"));
        assert_eq!(notes.len(), 7, "{notes:?}");
        assert_eq!(notes[5], "45 more unusable announce URLs left out");
        assert!(notes[6].contains("100 left out"), "{notes:?}");
        let wrong = text("ws://a").repeat(LOOKED_AT_MAX - 1);
        let (urls, notes) = list(&format!("d13:announce-listl{wrong}{many}ee"));
        assert_eq!(urls, ["udp://t0:1"]);
        assert_eq!(notes[5], "9994 more unusable announce URLs left out");
        assert!(notes[6].contains("299 left out"), "{notes:?}");
    }
}
