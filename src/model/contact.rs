//! Whom nobody of this program contacts. Pure.

use std::net::IpAddr;

use super::network::NetworkSet;
use super::reserved::is_reserved;

/// Which addresses may be contacted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressRules {
    /// `contact.allow_private`: also reserved addresses.
    pub allow_private: bool,
    /// Unless `contact.ipv6`: no IPv6 addresses.
    pub ipv4_only: bool,
    /// Networks of those who do not want to be contacted.
    pub opt_out: NetworkSet,
}

/// Why an address is not contacted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Barred {
    /// Nobody on the internet has it ([`is_reserved`]).
    Reserved,
    /// It is on the opt-out list.
    OptedOut,
    /// It is an IPv6 address, and only IPv4 is contacted.
    Ipv6,
}

impl AddressRules {
    /// No rules: every address may be contacted.
    pub fn none() -> Self {
        Self {
            allow_private: true,
            ipv4_only: false,
            opt_out: NetworkSet::default(),
        }
    }

    /// Whether `ip` may be contacted.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, ip: IpAddr) -> Result<(), Barred> {
        if self.opt_out.contains(ip) {
            Err(Barred::OptedOut)
        } else if self.ipv4_only && ip.is_ipv6() {
            Err(Barred::Ipv6)
        } else if !self.allow_private && is_reserved(ip) {
            Err(Barred::Reserved)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_and_opt_out() {
        let ip = |text: &str| text.parse().unwrap();
        let mut rules = AddressRules {
            allow_private: false,
            ipv4_only: false,
            opt_out: NetworkSet::parse("8.8.8.0/24\n127.0.0.9").unwrap(),
        };
        assert_eq!(rules.check(ip("8.8.8.8")), Err(Barred::OptedOut));
        assert_eq!(rules.check(ip("127.0.0.1")), Err(Barred::Reserved));
        assert_eq!(rules.check(ip("8.8.4.4")), Ok(()));
        rules.allow_private = true;
        assert_eq!(rules.check(ip("127.0.0.1")), Ok(()));
        assert_eq!(rules.check(ip("127.0.0.9")), Err(Barred::OptedOut));
        assert_eq!(rules.check(ip("2a00::7")), Ok(()));
        rules.ipv4_only = true;
        assert_eq!(rules.check(ip("2a00::7")), Err(Barred::Ipv6));
        assert_eq!(rules.check(ip("8.8.4.4")), Ok(()));
        assert_eq!(AddressRules::none().check(ip("127.0.0.9")), Ok(()));
    }
}
