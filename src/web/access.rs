//! Who may ask the page what. Pure, but for the sessions' lock.
//!
//! Three questions, in this order: is the request for us (Host; a foreign
//! name is a rebound one), does it come from a page of ours (Origin, for
//! whatever changes something), and does it know the token, where there is
//! one (bearer, or the cookie of a session).

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use parking_lot::Mutex;

/// Name of the cookie.
pub(super) const COOKIE: &str = "btda_session";

/// Sessions at most; the oldest goes for a new one.
const SESSIONS_MAX: usize = 64;

/// Shortest token.
pub(super) const TOKEN_LEN_MIN: usize = 16;

/// The token, only as its digest.
pub(super) struct Token([u8; 20]);

impl Token {
    /// The token `text`.
    pub(super) fn new(text: &str) -> Self {
        Self(digest(text))
    }

    /// Whether `text` is it; takes as long for every text of a length.
    pub(super) fn is(&self, text: &str) -> bool {
        same(&self.0, &digest(text))
    }
}

fn digest(text: &str) -> [u8; 20] {
    sha1_smol::Sha1::from(text).digest().bytes()
}

fn same(one: &[u8; 20], other: &[u8; 20]) -> bool {
    let differences = one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b));
    differences == 0
}

/// Where the page is served, and who may use it.
pub(super) struct Access {
    local: SocketAddr,
    names: Vec<String>,
    token: Option<Token>,
    sessions: Mutex<VecDeque<[u8; 20]>>,
}

impl Access {
    /// The page at `local`, known also by `names` (with ports).
    pub(super) fn new(local: SocketAddr, names: Vec<String>, token: Option<Token>) -> Self {
        Self {
            local,
            names,
            token,
            sessions: Mutex::default(),
        }
    }

    /// Whether a request that names `host` is for us. An address is not looked
    /// up and cannot be rebound; of names only those that we know are ours.
    pub(super) fn is_our_host(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        if self.names.contains(&host) {
            return true;
        }
        let (name, port) = split_host(&host);
        // Browsers leave out the port of the scheme, behind a proxy with TLS too.
        let named = |port| self.names.contains(&format!("{host}:{port}"));
        if port.is_none() && (named(80) || named(443)) {
            return true;
        }
        if port.unwrap_or(80) != self.local.port() {
            return false;
        }
        match name.parse::<IpAddr>() {
            Ok(ip) if self.local.ip().is_unspecified() => !ip.is_unspecified(),
            Ok(ip) if self.local.ip().is_loopback() => ip.is_loopback(),
            Ok(ip) => ip == self.local.ip(),
            Err(_) => name == "localhost" && self.local.ip().is_loopback(),
        }
    }

    /// Whether a request with `origin` that was sent to `host` is from a page
    /// of ours; `site` is what the browser says of it (`Sec-Fetch-Site`).
    /// Programs send neither.
    pub(super) fn is_our_origin(host: &str, origin: Option<&str>, site: Option<&str>) -> bool {
        let by_site = site.is_none_or(|site| matches!(site, "same-origin" | "none"));
        let by_origin = origin.is_none_or(|origin| {
            let (scheme, rest) = origin.split_once("://").unwrap_or(("", origin));
            matches!(scheme, "http" | "https") && rest.eq_ignore_ascii_case(host)
        });
        by_site && by_origin
    }

    /// Whether somebody with these headers may use the page.
    pub(super) fn is_known(&self, authorization: Option<&str>, cookies: Option<&str>) -> bool {
        let Some(token) = &self.token else {
            return true;
        };
        if let Some(bearer) = authorization.and_then(bearer) {
            return token.is(bearer);
        }
        cookies.and_then(session_of).is_some_and(|session| {
            let session = digest(session);
            self.sessions
                .lock()
                .iter()
                .any(|known| same(known, &session))
        })
    }

    /// Whether there is a token at all.
    pub(super) const fn wants_token(&self) -> bool {
        self.token.is_some()
    }

    /// Whether `text` is the token.
    pub(super) fn is_token(&self, text: &str) -> bool {
        self.token.as_ref().is_some_and(|token| token.is(text))
    }

    /// `session` is known from now on.
    pub(super) fn open_session(&self, session: &str) {
        let mut sessions = self.sessions.lock();
        if sessions.len() >= SESSIONS_MAX {
            sessions.pop_front();
        }
        sessions.push_back(digest(session));
    }
}

/// What stands behind `Bearer`. Another scheme is for a proxy before us.
pub(super) fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, text) = authorization.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(text.trim())
}

/// Name without brackets, and port.
fn split_host(host: &str) -> (&str, Option<u16>) {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => match port.parse() {
            Ok(port) => (name, Some(port)),
            // No port, no host: it equals nothing.
            Err(_) => ("", None),
        },
        _ => (host, None),
    };
    let bare = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    (bare.unwrap_or(name), port)
}

fn session_of(cookies: &str) -> Option<&str> {
    let mut pairs = cookies
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='));
    pairs
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(local: &str, token: Option<&str>) -> Access {
        let names = ["lab.example:8080", "tls.example:443"]
            .map(str::to_owned)
            .to_vec();
        Access::new(local.parse().unwrap(), names, token.map(Token::new))
    }

    #[test]
    fn only_our_own_names_are_ours() {
        let local = access("127.0.0.1:5000", None);
        for host in [
            "127.0.0.1:5000",
            "localhost:5000",
            "LOCALHOST:5000",
            "[::1]:5000",
            "lab.example:8080",
            "tls.example:443",
            "tls.example",
        ] {
            assert!(local.is_our_host(host), "{host}");
        }
        for host in [
            "127.0.0.1",
            "127.0.0.1:5001",
            "evil.example:5000",
            "localhost",
            "lab.example",
            "lab.example:5000",
            "192.0.2.1:5000",
            "",
            ":5000",
            "localhost:x",
            "localhost.evil.example:5000",
        ] {
            assert!(!local.is_our_host(host), "{host}");
        }
        let everywhere = access("0.0.0.0:80", None);
        assert!(everywhere.is_our_host("192.0.2.7"));
        assert!(everywhere.is_our_host("192.0.2.7:80"));
        assert!(!everywhere.is_our_host("localhost:80"));
        assert!(!everywhere.is_our_host("evil.example"));
        assert!(access("[2001:db8::1]:81", None).is_our_host("[2001:db8::1]:81"));
    }

    #[test]
    fn other_pages_change_nothing() {
        let ours = |origin, site| Access::is_our_origin("127.0.0.1:5000", origin, site);
        assert!(ours(None, None));
        assert!(ours(Some("http://127.0.0.1:5000"), Some("same-origin")));
        assert!(!ours(Some("http://evil.example"), None));
        assert!(!ours(Some("http://127.0.0.1:5001"), None));
        assert!(!ours(Some("null"), None));
        assert!(!ours(Some("ftp://127.0.0.1:5000"), None));
        assert!(!ours(None, Some("cross-site")));
        assert!(!ours(None, Some("same-site")));
    }

    #[test]
    fn token_bearer_and_session() {
        let access = access("192.0.2.1:5000", Some("correct horse battery"));
        assert!(access.wants_token());
        assert!(!access.is_known(None, None));
        assert!(access.is_known(Some("Bearer correct horse battery"), None));
        assert!(!access.is_known(Some("Bearer correct horse"), None));
        assert!(!access.is_known(Some("Basic correct horse battery"), None));
        assert!(!access.is_known(None, Some("btda_session=abc")));
        access.open_session("abc");
        assert!(access.is_known(None, Some("other=1; btda_session=abc")));
        assert!(access.is_known(Some("Basic proxy"), Some("btda_session=abc")));
        assert!(!access.is_known(Some("Bearer proxy"), Some("btda_session=abc")));
        assert!(!access.is_known(None, Some("btda_session=ab")));
        assert!(access.is_token("correct horse battery") && !access.is_token(""));
        for number in 0..SESSIONS_MAX {
            access.open_session(&number.to_string());
        }
        assert!(
            !access.is_known(None, Some("btda_session=abc")),
            "the oldest goes"
        );
    }

    #[test]
    fn without_a_token_everybody_may() {
        assert!(access("127.0.0.1:5000", None).is_known(None, None));
    }
}
