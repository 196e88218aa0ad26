//! Over which address family a tracker is asked (BEP 7, BEP 15).
//!
//! A tracker tells each family of the other's peers what it likes, and lets us
//! in at the address we ask from. So one that has a name is asked over IPv4 and
//! over IPv6, by two [`super::state::Tracker`]s with a rhythm of their own; the
//! second one has nothing to do where there is only one family. Used by the
//! client on the thread of one request.

use std::sync::Arc;
use std::time::Duration;

use super::TrackerError;
use super::url::TrackerUrl;
use crate::model::{IpFamily, Reason};
use crate::net::NetError;
use crate::net::http::{HttpError, HttpGet, SystemHttp};
use crate::net::resolve::Resolver;
use crate::net::udp::{OpenDatagram, SystemUdp};

/// Which of a host's families is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The first to which there is a way, IPv4 before IPv6.
    First,
    /// The one behind that, which is IPv6.
    Second,
}

/// Tells the families to which this machine has a way, IPv4 first.
pub trait FindFamilies: Send + Sync {
    /// Looks `host` up within `wait`; never empty.
    fn families(&self, host: &str, port: u16, wait: Duration) -> Result<Vec<IpFamily>, NetError>;
}

impl FindFamilies for Resolver {
    fn families(&self, host: &str, port: u16, wait: Duration) -> Result<Vec<IpFamily>, NetError> {
        Self::families(self, host, port, wait)
    }
}

/// What requests over one family go by.
pub struct Door {
    /// HTTP; `None` where the environment names a proxy.
    pub http: Option<Arc<dyn HttpGet>>,
    /// UDP.
    pub udp: Arc<dyn OpenDatagram>,
}

/// A door for each family.
pub struct Families {
    /// Tells which there are.
    pub find: Arc<dyn FindFamilies>,
    /// IPv4.
    pub v4: Door,
    /// IPv6.
    pub v6: Door,
}

impl Place {
    /// Both.
    pub const ALL: [Self; 2] = [Self::First, Self::Second];
}

impl Families {
    /// Those of the system; names are looked up with `resolver`.
    pub fn system(redirects: u32, resolver: &Resolver) -> Self {
        let door = |family| {
            let resolver = resolver.clone().over(family);
            let http = SystemHttp::unless_by_proxy(redirects, resolver.clone());
            Door {
                http: http.map(|http| Arc::new(http) as Arc<dyn HttpGet>),
                udp: Arc::new(SystemUdp::new(resolver)),
            }
        };
        Self {
            find: Arc::new(resolver.clone()),
            v4: door(IpFamily::V4),
            v6: door(IpFamily::V6),
        }
    }

    /// The family at `place` of the tracker at `target`, and its door; `None`
    /// where a proxy decides.
    ///
    /// Errors: [`TrackerError::OneFamily`] when there is nothing at the second
    /// place; at the first, those of the look-up.
    pub(super) fn at(
        &self,
        place: Place,
        target: &TrackerUrl,
        wait: Duration,
    ) -> Result<Option<(IpFamily, &Door)>, TrackerError> {
        let is_http = matches!(target, TrackerUrl::Http(_));
        if is_http && self.v4.http.is_none() {
            return match place {
                Place::First => Ok(None),
                Place::Second => Err(TrackerError::OneFamily),
            };
        }
        let (host, port) = target.host();
        let found = self.find.families(host, port, wait);
        let family = match (place, found) {
            (Place::First, Err(error)) => return Err(look_up_failed(is_http, error)),
            (Place::First, Ok(found)) => found.first().copied(),
            // A look-up that fails has failed for the first place, too.
            (Place::Second, found) => found.unwrap_or_default().get(1).copied(),
        };
        let family = family.ok_or(TrackerError::OneFamily)?;
        let door = match family {
            IpFamily::V4 => &self.v4,
            IpFamily::V6 => &self.v6,
        };
        Ok(Some((family, door)))
    }
}

/// As the request itself would have failed.
const fn look_up_failed(is_http: bool, error: NetError) -> TrackerError {
    match (is_http, error.reason) {
        (false, _) => TrackerError::Net(error),
        (true, Reason::Closed) => TrackerError::Http(HttpError::HostNotFound),
        (true, _) => TrackerError::Http(HttpError::Net(error)),
    }
}
