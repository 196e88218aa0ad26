//! Which name servers are asked. Pure.

use std::net::IpAddr;

/// A name server: host and port.
pub type Server = (String, u16);

/// The servers of a list of `host:port`, with blanks between.
pub fn listed(text: &str) -> Vec<Server> {
    let servers = text.split_whitespace().filter_map(|server| {
        let (host, port) = server.rsplit_once(':')?;
        Some((host.to_owned(), port.parse().ok()?))
    });
    servers.take(SERVERS).collect()
}

/// The servers that `resolv.conf` with this text names, port 53.
pub fn of_system(text: &str) -> Vec<Server> {
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let keyword = words.next()?;
        let address: IpAddr = words.next()?.parse().ok()?;
        (keyword == "nameserver").then(|| (address.to_string(), PORT))
    });
    lines.take(SERVERS).collect()
}

/// Where the system names its servers.
pub const SYSTEM_FILE: &str = "/etc/resolv.conf";
/// As many as the system's own resolver takes.
const SERVERS: usize = 3;
const PORT: u16 = 53;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms() {
        let own = |host: &str, port| (host.to_owned(), port);
        assert_eq!(
            of_system(
                "# nameserver 1.1.1.1\nsearch a.test\nnameserver 192.0.2.1\n nameserver\t2001:db8::1 # x\nnameserver fe80::1%eth0\nnameserver\n"
            ),
            [own("192.0.2.1", 53), own("2001:db8::1", 53)]
        );
        assert_eq!(
            listed("127.0.0.1:5353 [::1]:53 x"),
            [own("127.0.0.1", 5353), own("[::1]", 53)]
        );
    }
}
