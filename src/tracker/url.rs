//! Announce URLs: what they lead to and where the scrape is (BEP 15, 48).
//!
//! Pure; every tracker of a torrent is parsed once, at the start.

use std::fmt;
use std::net::IpAddr;

use url::Url;

/// Where announces and scrapes of one tracker go.
#[derive(Clone, PartialEq, Eq)]
pub enum TrackerUrl {
    /// HTTP or HTTPS.
    Http(HttpUrl),
    /// UDP.
    Udp(UdpUrl),
}

/// An HTTP tracker.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl {
    /// URL of announces, percent-encoded where needed, without a fragment.
    pub announce: String,
    /// URL of scrapes; `None` where BEP 48 gives none.
    pub scrape: Option<String>,
    host: String,
    port: u16,
    origin: String,
}

/// A UDP tracker.
#[derive(Clone, PartialEq, Eq)]
pub struct UdpUrl {
    /// Name or address literal.
    pub host: String,
    /// Port, the configured default where the URL has none.
    pub port: u16,
    /// Path and query, told to the tracker by BEP 41; may be empty.
    pub data: String,
}

/// An announce URL that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UrlError {
    /// No URL at all, or one without a host or with port 0.
    Malformed,
    /// A scheme other than `http`, `https` and `udp` (`wss`, say).
    Scheme,
}

impl UrlError {
    /// Text for the tracker error file.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Malformed => "Announce URL is malformed",
            Self::Scheme => "Announce URL of unknown scheme",
        }
    }
}

impl TrackerUrl {
    /// Reads an announce URL as it stands in a torrent file.
    pub fn parse(text: &str, udp_default_port: u16) -> Result<Self, UrlError> {
        let mut url = Url::parse(text).map_err(|_| UrlError::Malformed)?;
        url.set_fragment(None);
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or(UrlError::Malformed)?.to_owned();
        if url.port() == Some(0) {
            return Err(UrlError::Malformed);
        }
        match url.scheme() {
            "http" | "https" => Ok(Self::Http(HttpUrl {
                host,
                port: url.port_or_known_default().unwrap_or(80),
                origin: url.origin().ascii_serialization(),
                scrape: scrape_url(url.as_str()),
                announce: url.into(),
            })),
            "udp" => {
                let path = if url.path() == "/" { "" } else { url.path() };
                let query = url.query().map(|query| format!("?{query}"));
                Ok(Self::Udp(UdpUrl {
                    data: format!("{path}{}", query.unwrap_or_default()),
                    port: url.port().unwrap_or(udp_default_port),
                    host,
                }))
            }
            _ => Err(UrlError::Scheme),
        }
    }

    /// Name or address literal of the host, and the port.
    pub fn host(&self) -> (&str, u16) {
        match self {
            Self::Http(http) => (&http.host, http.port),
            Self::Udp(udp) => (&udp.host, udp.port),
        }
    }

    /// Whether the host has a name, so that it may have several addresses.
    pub fn has_name(&self) -> bool {
        let (host, _) = self.host();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        bare.parse::<IpAddr>().is_err()
    }

    /// Scrapes with equal keys go to the same place and can be one request;
    /// `None` where the tracker has no scrape.
    pub fn scrape_key(&self) -> Option<String> {
        match self {
            Self::Http(http) => http.scrape.clone(),
            Self::Udp(_) => Some(self.to_string()),
        }
    }
}

/// Scheme, host and port only: paths and queries carry passkeys.
impl fmt::Display for TrackerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(http) => f.write_str(&http.origin),
            Self::Udp(udp) => write!(f, "udp://{}:{}", udp.host, udp.port),
        }
    }
}

impl fmt::Debug for TrackerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrackerUrl({self})")
    }
}

/// BEP 48: `scrape` in place of `announce`, if that is what follows the last
/// slash of the whole URL. In 2015 it was replaced anywhere.
fn scrape_url(announce: &str) -> Option<String> {
    let (before, last) = announce.rsplit_once('/')?;
    let rest = last.strip_prefix("announce")?;
    // `http://announce.example` has no path whose last segment this could be.
    (!before.ends_with('/')).then(|| format!("{before}/scrape{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scrape(text: &str) -> Option<String> {
        match TrackerUrl::parse(text, 80).unwrap() {
            TrackerUrl::Http(http) => http.scrape,
            TrackerUrl::Udp(_) => panic!("{text} is UDP"),
        }
    }

    #[test]
    fn scrape_urls_of_bep_48() {
        for (announce, expected) in [
            (
                "http://example.com/announce",
                Some("http://example.com/scrape"),
            ),
            (
                "http://example.com/x/announce",
                Some("http://example.com/x/scrape"),
            ),
            (
                "http://example.com/announce.php",
                Some("http://example.com/scrape.php"),
            ),
            ("http://example.com/a", None),
            (
                "http://example.com/announce?x2%0644",
                Some("http://example.com/scrape?x2%0644"),
            ),
            ("http://example.com/announce?x=2/4", None),
            ("http://example.com/x%064announce", None),
            ("http://announce.example/", None),
            ("http://announce.example", None),
            (
                "http://a.example/announce/abc/announce?passkey=k",
                Some("http://a.example/announce/abc/scrape?passkey=k"),
            ),
        ] {
            assert_eq!(scrape(announce).as_deref(), expected, "{announce}");
        }
    }

    #[test]
    fn hosts_are_names_or_addresses() {
        for (text, host, port, has_name) in [
            ("http://a.example/announce", "a.example", 80, true),
            ("https://a.example/announce", "a.example", 443, true),
            ("http://[::1]:81/announce", "[::1]", 81, false),
            ("udp://127.0.0.1:6969/announce", "127.0.0.1", 6969, false),
            ("udp://[::1]", "[::1]", 80, false),
            ("udp://localhost:1", "localhost", 1, true),
        ] {
            let url = TrackerUrl::parse(text, 80).unwrap();
            assert_eq!((url.host(), url.has_name()), ((host, port), has_name));
        }
    }

    #[test]
    fn http_urls_are_kept_but_made_sendable() {
        let TrackerUrl::Http(url) =
            TrackerUrl::parse(" https://Tracker.example:8443/a b/announce?k=%7e#x ", 80).unwrap()
        else {
            panic!("not HTTP");
        };
        assert_eq!(
            url.announce,
            "https://tracker.example:8443/a%20b/announce?k=%7e"
        );
    }

    #[test]
    fn udp_urls() {
        let udp = |text| match TrackerUrl::parse(text, 80) {
            Ok(TrackerUrl::Udp(url)) => (url.host, url.port, url.data),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            udp("udp://tracker.example:6969/announce?a=b"),
            ("tracker.example".into(), 6969, "/announce?a=b".into())
        );
        assert_eq!(
            udp("udp://192.0.2.1"),
            ("192.0.2.1".into(), 80, String::new())
        );
        assert_eq!(
            udp("udp://[2001:db8::1]:1/"),
            ("[2001:db8::1]".into(), 1, String::new())
        );
    }

    #[test]
    fn unusable_urls() {
        let error = |text| TrackerUrl::parse(text, 80).unwrap_err();
        assert_eq!(error(""), UrlError::Malformed);
        assert_eq!(error("tracker"), UrlError::Malformed);
        assert_eq!(error("http://"), UrlError::Malformed);
        assert_eq!(error("udp:///announce"), UrlError::Malformed);
        assert_eq!(error("udp://host:0/"), UrlError::Malformed);
        assert_eq!(error("udp://host:99999/"), UrlError::Malformed);
        assert_eq!(error("wss://tracker.example/"), UrlError::Scheme);
        assert_eq!(error("dht://0123"), UrlError::Scheme);
    }

    #[test]
    fn no_passkey_is_displayed() {
        let url = TrackerUrl::parse("https://t.example/secret/announce?passkey=secret", 80);
        assert_eq!(url.unwrap().to_string(), "https://t.example");
    }

    proptest! {
        #[test]
        fn never_panics(text in "(http|udp|https)?(://)?[ -~]{0,40}") {
            if let Ok(url) = TrackerUrl::parse(&text, 80) {
                let _ = (url.scrape_key(), url.to_string());
            }
        }
    }
}
