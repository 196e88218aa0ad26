//! HTTP and HTTPS requests of trackers, by ureq.
//!
//! Called on the short-lived thread of one tracker request. Every request
//! has one deadline for all of it (look-up, connection, redirects, body), a
//! limit on the *decompressed* body, and a connection of its own: trackers
//! are asked every few minutes, kept connections would only be descriptors.
//!
//! Proxies are taken from the environment (`ALL_PROXY`, `HTTPS_PROXY`,
//! `HTTP_PROXY`, `NO_PROXY`) as other programs do.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read};
use std::time::Duration;

use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver as UreqResolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Error, Proxy};

use super::resolve::Resolver;
use super::{NetError, Operation};
use crate::model::Reason;

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// Status code.
    pub status: u16,
    /// Decompressed body.
    pub body: Vec<u8>,
}

/// Asks by HTTP `GET`.
pub trait HttpGet: Send + Sync {
    /// Gets `url`, which is sent as it stands but for spaces, within `wait`
    /// in all; the decompressed body may have `limit` bytes.
    fn get(&self, url: &str, limit: usize, wait: Duration) -> Result<HttpAnswer, HttpError>;
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpError {
    /// The network failed, the deadline passed, or the server closed before
    /// its answer was whole.
    Net(NetError),
    /// There is no such host.
    HostNotFound,
    /// The URL, or one that was redirected to, is none for HTTP.
    BadUrl,
    /// More redirects than `tracker.redirects_max`.
    TooManyRedirects,
    /// The decompressed body is longer than `tracker.body_limit_bytes`.
    BodyTooLong,
    /// The headers are longer than the library takes.
    HeaderTooLong,
    /// The answer is no HTTP.
    Malformed,
    /// No encrypted connection: certificate or handshake.
    Tls,
    /// The body cannot be decompressed.
    Compression,
    /// The proxy of the environment failed.
    Proxy,
    /// Anything else in the library.
    Other,
}

impl HttpError {
    /// Text for the tracker error file: stable, without address or numbers
    /// that change.
    pub fn label(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Net(error) => return error.reason.label(),
            Self::HostNotFound => "Host name not found",
            Self::BadUrl => "URL is not usable",
            Self::TooManyRedirects => "Too many redirects",
            Self::BodyTooLong => "HTTP body longer than the limit",
            Self::HeaderTooLong => "HTTP header too long",
            Self::Malformed => "Malformed HTTP answer",
            Self::Tls => "TLS failed",
            Self::Compression => "HTTP body cannot be decompressed",
            Self::Proxy => "Proxy failed",
            Self::Other => "HTTP request failed",
        })
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label())
    }
}

impl std::error::Error for HttpError {}

/// ureq with our limits.
#[derive(Debug, Clone)]
pub struct SystemHttp {
    agent: Agent,
}

impl SystemHttp {
    /// Follows at most `redirects` redirects; proxies as in the environment.
    pub fn new(redirects: u32, resolver: Resolver) -> Self {
        Self::with_proxy(redirects, resolver, Proxy::try_from_env())
    }

    /// The same without any proxy, so that `resolver` decides where requests
    /// go, also those that are redirected.
    pub fn direct(redirects: u32, resolver: Resolver) -> Self {
        Self::with_proxy(redirects, resolver, None)
    }

    /// [`Self::new`] where the environment names no proxy: behind one, others
    /// choose the address.
    pub fn unless_by_proxy(redirects: u32, resolver: Resolver) -> Option<Self> {
        match Proxy::try_from_env() {
            None => Some(Self::direct(redirects, resolver)),
            Some(_) => None,
        }
    }

    fn with_proxy(redirects: u32, resolver: Resolver, proxy: Option<Proxy>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(redirects)
            .max_idle_connections(0)
            .max_idle_connections_per_host(0)
            .user_agent(concat!("btda/", env!("CARGO_PKG_VERSION")))
            .proxy(proxy)
            .build();
        let agent = Agent::with_parts(config, DefaultConnector::default(), Lookup(resolver));
        Self { agent }
    }
}

impl HttpGet for SystemHttp {
    fn get(&self, url: &str, limit: usize, wait: Duration) -> Result<HttpAnswer, HttpError> {
        let url = url.replace(' ', "%20");
        let mut response = self
            .agent
            .get(url)
            .config()
            .timeout_global(Some(wait))
            .timeout_connect(Some(wait))
            .build()
            .call()
            .map_err(|error| translate(&error))?;
        let mut body = Vec::new();
        let over = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        response
            .body_mut()
            .as_reader()
            .take(over)
            .read_to_end(&mut body)
            .map_err(translate_body)?;
        if body.len() > limit {
            return Err(HttpError::BodyTooLong);
        }
        Ok(HttpAnswer {
            status: response.status().as_u16(),
            body,
        })
    }
}

/// Our look-up in place of ureq's, whose thread panics when the system
/// refuses it.
#[derive(Debug)]
struct Lookup(Resolver);

impl UreqResolver for Lookup {
    fn resolve(
        &self,
        uri: &Uri,
        _: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().ok_or(Error::HostNotFound)?;
        let default = if uri.scheme_str() == Some("https") {
            443
        } else {
            80
        };
        let port = uri.port_u16().unwrap_or(default);
        let found = self
            .0
            .resolve(host, port, *timeout.after)
            .map_err(|error| match error.reason {
                Reason::TimedOut => Error::Timeout(timeout.reason),
                Reason::Os(number) => Error::Io(io::Error::from_raw_os_error(number)),
                // Comes out of `translate_io` as what it was.
                Reason::ReservedAddress => Error::Io(io::ErrorKind::PermissionDenied.into()),
                _ => Error::HostNotFound,
            })?;
        let mut addresses = self.empty();
        // ureq's array has 16 places and panics beyond.
        for address in found.into_iter().take(8) {
            addresses.push(address);
        }
        Ok(addresses)
    }
}

fn translate(error: &Error) -> HttpError {
    match error {
        Error::Timeout(_) => HttpError::Net(NetError::timed_out(Operation::Read)),
        Error::Io(error) => translate_io(error),
        Error::HostNotFound => HttpError::HostNotFound,
        Error::BadUri(_) | Error::Http(_) | Error::RequireHttpsOnly(_) => HttpError::BadUrl,
        Error::TooManyRedirects | Error::RedirectFailed => HttpError::TooManyRedirects,
        Error::LargeResponseHeader(..) => HttpError::HeaderTooLong,
        Error::Protocol(_) | Error::BodyStalled => HttpError::Malformed,
        Error::Tls(_) | Error::Pem(_) | Error::Rustls(_) | Error::TlsRequired => HttpError::Tls,
        Error::Decompress(..) => HttpError::Compression,
        Error::InvalidProxyUrl | Error::ConnectProxyFailed(_) => HttpError::Proxy,
        Error::ConnectionFailed => HttpError::Net(NetError {
            operation: Operation::Connect,
            reason: Reason::REFUSED,
        }),
        _ => HttpError::Other,
    }
}

/// rustls reports a bad handshake as invalid data.
fn translate_io(error: &io::Error) -> HttpError {
    if error.kind() == io::ErrorKind::InvalidData && error.raw_os_error().is_none() {
        return HttpError::Tls;
    }
    if error.kind() == io::ErrorKind::PermissionDenied && error.raw_os_error().is_none() {
        return HttpError::Net(NetError {
            operation: Operation::Resolve,
            reason: Reason::ReservedAddress,
        });
    }
    HttpError::Net(NetError::from_io(Operation::Read, error))
}

/// Errors of ureq come wrapped while the body is read; flate2 reports bad
/// streams as invalid input or data.
fn translate_body(error: io::Error) -> HttpError {
    match Error::from(error) {
        Error::Io(error)
            if error.raw_os_error().is_none()
                && matches!(
                    error.kind(),
                    io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
                ) =>
        {
            HttpError::Compression
        }
        error => translate(&error),
    }
}

#[cfg(test)]
mod tests;
