//! The last gate before a connection: whoever wants to connect, no rule about
//! addresses is passed by.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{AddressRules, Barred, Reason};

use super::{Connect, NetError, Operation, Stream};

/// `EAFNOSUPPORT`: a family that is not to be used.
const NO_FAMILY: Reason = Reason::Os(97);

/// Opens streams by another connector, but none against the rules.
pub struct Guarded {
    inner: Arc<dyn Connect>,
    rules: Arc<AddressRules>,
}

impl Guarded {
    /// `inner` under `rules`.
    pub fn new(inner: Arc<dyn Connect>, rules: Arc<AddressRules>) -> Self {
        Self { inner, rules }
    }
}

impl Connect for Guarded {
    fn connect(&self, address: SocketAddr, wait: Duration) -> Result<Box<dyn Stream>, NetError> {
        self.rules.check(address.ip()).map_err(|barred| NetError {
            operation: Operation::Connect,
            reason: match barred {
                Barred::Reserved => Reason::ReservedAddress,
                Barred::OptedOut => Reason::OptedOut,
                Barred::Ipv6 => NO_FAMILY,
            },
        })?;
        self.inner.connect(address, wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NetworkSet;

    /// Has no road to anybody.
    struct Unreachable;

    impl Connect for Unreachable {
        fn connect(&self, _: SocketAddr, _: Duration) -> Result<Box<dyn Stream>, NetError> {
            Err(NetError::timed_out(Operation::Connect))
        }
    }

    #[test]
    fn nobody_gets_past_the_rules() {
        let rules = AddressRules {
            allow_private: false,
            ipv4_only: false,
            opt_out: NetworkSet::parse("8.8.8.0/24").unwrap(),
        };
        let guarded = Guarded::new(Arc::new(Unreachable), Arc::new(rules));
        for (address, reason) in [
            ("192.168.0.1:80", Reason::ReservedAddress),
            ("[::ffff:192.168.0.1]:80", Reason::ReservedAddress),
            ("8.8.8.8:80", Reason::OptedOut),
            ("9.9.9.9:80", Reason::TimedOut),
        ] {
            let result = guarded.connect(address.parse().unwrap(), Duration::ZERO);
            assert_eq!(result.err().map(|error| error.reason), Some(reason));
        }
    }
}
