//! Local tracker discovery (BEP 22) with the real program: dnsmasq gives this
//! machine a name and its network a tracker.

mod common;

use std::net::{Ipv4Addr, SocketAddrV4};

use btda::lab::{ScriptedPeer, Step, wire};
use common::dnsmasq::Names;
use common::load::tracker_naming;
use common::trial::{PIECES, STOP_LIMIT, Setup};

#[test]
fn the_tracker_of_the_own_network_is_asked() {
    let bits = wire::bitfield(&wire::bits(PIECES, 0..PIECES));
    let script = vec![Step::Answer, Step::Send(bits), Step::Close];
    let any = (Ipv4Addr::UNSPECIFIED, 0).into();
    let peer = ScriptedPeer::listen_at(any, vec![script]).expect("peer starts");
    let at = SocketAddrV4::new(Ipv4Addr::new(127, 0, 22, 1), peer.address().port());
    let local = tracker_naming(&[at]);
    let usual = tracker_naming(&[]);
    let folder = tempfile::tempdir().expect("temporary folder");
    // The host's own name has no tracker, that of its network has one.
    let service = format!(
        "--srv-host=_bittorrent-tracker._tcp.example.net,localhost,{},5",
        local.address().port()
    );
    let own = "--ptr-record=1.0.0.127.in-addr.arpa,c-1.dsl.example.net";
    let names = Names::start(folder.path(), &[own, &service]);
    let server = format!("\"127.0.0.1:{}\"", names.port);
    let keys = [
        ("tracker.local_discovery", "true"),
        ("hosts.servers", server.as_str()),
        ("hosts.timeout_seconds", "20"),
    ];
    let setup = Setup::new().torrent(&usual.url());
    let mut trial = setup.config(&keys).start();
    trial.wait_until("the peer of the local tracker is visited", |trial| {
        trial.number("SELECT count(*) FROM peer WHERE source = 'tracker'") == 1
    });
    assert_eq!(trial.stop("TERM", STOP_LIMIT), Some(0));
    let found = "FROM found_tracker WHERE origin = 'local' AND asked";
    assert_eq!(trial.number(&format!("SELECT count(*) {found}")), 1);
    let url = format!("http://localhost:{}/announce", local.address().port());
    assert_eq!(
        trial.number(&format!("SELECT count(*) {found} AND url = '{url}'")),
        1
    );
    trial.assert_contract();
}
