//! Datagrams that the kernel threw away because nobody read them in time, as
//! `/proc` has them for each socket. Called by the thread of the socket.

use std::fs;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;

/// Those of one socket; `None` where `/proc` is not there or says nothing.
pub(super) fn of(socket: &UdpSocket) -> Option<u64> {
    let descriptor = socket.as_raw_fd();
    let inode = fs::metadata(format!("/proc/self/fd/{descriptor}")).ok()?;
    let table = if socket.local_addr().ok()?.is_ipv6() {
        "/proc/thread-self/net/udp6"
    } else {
        "/proc/thread-self/net/udp"
    };
    drops(&fs::read_to_string(table).ok()?, inode.ino())
}

/// The last column of the row of a socket.
fn drops(table: &str, inode: u64) -> Option<u64> {
    let inode = inode.to_string();
    let mut rows = table.lines().skip(1).map(str::split_whitespace);
    // sl local remote st queues timer retransmissions uid timeout inode …
    let mut row = rows.find(|row| row.clone().nth(9) == Some(&inode))?;
    row.next_back()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_of_the_socket_counts() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
             \x20 105: 0100007F:1F90 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 7001 2 0000000000000000 5\n\
             \x20 106: 0100007F:1F91 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 7002 2 0000000000000000 9\n";
        assert_eq!(drops(table, 7001), Some(5));
        assert_eq!(drops(table, 7002), Some(9));
        assert_eq!(drops(table, 7), None);
        assert_eq!(drops("", 7), None);
    }
}
