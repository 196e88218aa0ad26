//! Host names to addresses, with a deadline.
//!
//! The system's look-up blocks for as long as its configuration says, half a
//! minute and more, and cannot be cancelled. So it runs in a short-lived
//! thread, and whoever asked stops waiting at its deadline. Threads left
//! behind by dead name servers are limited to [`LOOKUPS_MAX`].

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded};

use super::{NetError, Operation};
use crate::model::{AddressRules, IpFamily, Reason};
use crate::threads;

/// Look-ups under way at one time; a further one fails as if it timed out.
pub const LOOKUPS_MAX: usize = 256;

/// `getaddrinfo` and its plug-ins keep buffers on the stack.
const STACK: usize = 512 * 1024;

/// `EAFNOSUPPORT`: the host has no address of the family.
const WRONG_FAMILY: Reason = Reason::Os(97);

/// What looks a name up, with the port that goes into the addresses.
type Names = fn(&str, u16) -> io::Result<Vec<SocketAddr>>;

/// Looks up names; clones share the limit.
#[derive(Clone)]
pub struct Resolver {
    names: Names,
    under_way: Arc<AtomicUsize>,
    /// Addresses that are no answer.
    rules: Option<Arc<AddressRules>>,
    /// Addresses of the other family are none either.
    family: Option<IpFamily>,
}

impl Default for Resolver {
    fn default() -> Self {
        Self::new()
    }
}

impl Resolver {
    /// A resolver with its own limit.
    pub fn new() -> Self {
        Self::of(|name, port| Ok((name, port).to_socket_addrs()?.collect()))
    }

    /// The same with other names than the system's.
    pub(super) fn of(names: Names) -> Self {
        Self {
            names,
            under_way: Arc::default(),
            rules: None,
            family: None,
        }
    }

    /// The same; addresses against `rules` are as if they were not there. So
    /// nobody is connected to them, whatever a name leads to and however often
    /// it changes.
    #[must_use]
    pub fn under(self, rules: Arc<AddressRules>) -> Self {
        Self {
            rules: Some(rules),
            ..self
        }
    }

    /// The same; there are addresses of `family` only.
    #[must_use]
    pub fn over(self, family: IpFamily) -> Self {
        Self {
            family: Some(family),
            ..self
        }
    }

    /// The families of `host`'s addresses within `wait`, IPv4 first: those to
    /// which this machine has a way, or the first one if it has none. Nothing
    /// is sent to the host. Errors as those of [`Self::resolve`].
    pub fn families(
        &self,
        host: &str,
        port: u16,
        wait: Duration,
    ) -> Result<Vec<IpFamily>, NetError> {
        let found = self.resolve(host, port, wait)?;
        let first = found.first().copied().map(IpFamily::of_socket);
        let is_reached = |family: &IpFamily| {
            let mut its = found
                .iter()
                .filter(|it| IpFamily::of_socket(**it) == *family);
            its.any(|address| has_way(*address))
        };
        let mut families: Vec<IpFamily> = IpFamily::ALL.into_iter().filter(is_reached).collect();
        if families.is_empty() {
            families.extend(first);
        }
        Ok(families)
    }

    /// All addresses of `host` within `wait`, IPv4 first (the measurement is
    /// of IPv4 swarms for now), never empty. An address literal, also in
    /// brackets, needs no look-up.
    ///
    /// Errors: [`Reason::TimedOut`]; [`Reason::Closed`] when there is no such
    /// name; [`Reason::ReservedAddress`] when the rules leave none;
    /// `EAFNOSUPPORT` when none is of the family;
    /// [`Reason::Os`] when no thread could be started.
    pub fn resolve(
        &self,
        host: &str,
        port: u16,
        wait: Duration,
    ) -> Result<Vec<SocketAddr>, NetError> {
        if let Some(ip) = literal(host) {
            return self.admitted(vec![SocketAddr::new(ip, port)]);
        }
        let slot = Slot::take(&self.under_way).ok_or(NetError::timed_out(Operation::Resolve))?;
        let (send, receive) = bounded(1);
        let (name, names) = (host.to_owned(), self.names);
        threads::spawn("resolve", STACK, move || {
            let found = names(&name, port);
            drop(slot);
            // Whoever asked may have left.
            let _ = send.send(found);
        })
        .map_err(|error| NetError::from_io(Operation::Resolve, &error))?;
        match receive.recv_timeout(wait) {
            Ok(Ok(mut found)) if !found.is_empty() => {
                found.sort_by_key(SocketAddr::is_ipv6);
                self.admitted(found)
            }
            Ok(_) | Err(RecvTimeoutError::Disconnected) => Err(NetError {
                operation: Operation::Resolve,
                reason: Reason::Closed,
            }),
            Err(RecvTimeoutError::Timeout) => Err(NetError::timed_out(Operation::Resolve)),
        }
    }
}

impl Resolver {
    /// Those of `found` that the rules let through.
    fn admitted(&self, mut found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, NetError> {
        let none = |reason| NetError {
            operation: Operation::Resolve,
            reason,
        };
        if let Some(rules) = &self.rules {
            found.retain(|address| rules.check(address.ip()).is_ok());
        }
        if found.is_empty() {
            return Err(none(Reason::ReservedAddress));
        }
        if let Some(family) = self.family {
            found.retain(|address| IpFamily::of_socket(*address) == family);
        }
        if found.is_empty() {
            return Err(none(WRONG_FAMILY));
        }
        Ok(found)
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver(..)")
    }
}

/// Whether the system knows where to send what is for `address`: to connect a
/// datagram socket looks for a route and sends nothing.
fn has_way(address: SocketAddr) -> bool {
    let any: IpAddr = match IpFamily::of_socket(address) {
        IpFamily::V4 => Ipv4Addr::UNSPECIFIED.into(),
        IpFamily::V6 => Ipv6Addr::UNSPECIFIED.into(),
    };
    UdpSocket::bind((any, 0)).is_ok_and(|socket| socket.connect(address).is_ok())
}

fn literal(host: &str) -> Option<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    bare.parse().ok()
}

/// One of the [`LOOKUPS_MAX`] look-ups.
struct Slot(Arc<AtomicUsize>);

impl Slot {
    fn take(under_way: &Arc<AtomicUsize>) -> Option<Self> {
        let slot = Self(Arc::clone(under_way));
        (under_way.fetch_add(1, Ordering::Relaxed) < LOOKUPS_MAX).then_some(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_secs(10);

    #[test]
    fn literals_need_no_look_up() {
        let resolver = Resolver::new();
        let found = resolver.resolve("127.0.0.1", 80, WAIT).unwrap();
        assert_eq!(found, ["127.0.0.1:80".parse().unwrap()]);
        let found = resolver.resolve("[::1]", 81, WAIT).unwrap();
        assert_eq!(found, ["[::1]:81".parse().unwrap()]);
        assert_eq!(resolver.under_way.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn localhost_is_found_with_ipv4_first() {
        let found = Resolver::new().resolve("localhost", 80, WAIT).unwrap();
        assert!(found[0].ip().is_loopback());
        assert!(found.is_sorted_by_key(SocketAddr::is_ipv6));
    }

    #[test]
    fn nothing_leads_past_the_rules() {
        let rules = AddressRules {
            allow_private: false,
            ipv4_only: false,
            opt_out: crate::model::NetworkSet::parse("8.8.8.0/24").unwrap(),
        };
        let resolver = Resolver::new().under(Arc::new(rules));
        for host in ["127.0.0.1", "localhost", "[::1]", "10.0.0.1", "8.8.8.8"] {
            let error = resolver.resolve(host, 80, WAIT).unwrap_err();
            assert_eq!(error.reason, Reason::ReservedAddress, "{host}");
        }
        assert_eq!(resolver.resolve("9.9.9.9", 80, WAIT).unwrap().len(), 1);
    }

    #[test]
    fn one_family_can_be_had_alone() {
        let v4 = Resolver::new().over(IpFamily::V4);
        assert!(v4.resolve("localhost", 80, WAIT).unwrap()[0].is_ipv4());
        let error = v4.resolve("[::1]", 80, WAIT).unwrap_err();
        assert_eq!(error.reason, WRONG_FAMILY);
    }

    #[test]
    fn families_are_those_with_a_way() {
        let families = |host| Resolver::new().families(host, 80, WAIT);
        assert_eq!(families("127.0.0.1").unwrap(), [IpFamily::V4]);
        assert_eq!(families("::1").unwrap(), [IpFamily::V6]);
        assert!(families("no-such-host.invalid").is_err());
        // A multicast scope without a device: nobody has a way there.
        assert!(!has_way("[ff02::1]:80".parse().unwrap()));
        assert_eq!(families("ff02::1").unwrap(), [IpFamily::V6]);
    }

    #[test]
    fn too_many_look_ups_fail_at_once_and_slots_come_back() {
        let resolver = Resolver::new();
        resolver.under_way.store(LOOKUPS_MAX, Ordering::Relaxed);
        let error = resolver.resolve("localhost", 80, WAIT).unwrap_err();
        assert_eq!(error, NetError::timed_out(Operation::Resolve));
        assert_eq!(resolver.under_way.load(Ordering::Relaxed), LOOKUPS_MAX);
    }
}
