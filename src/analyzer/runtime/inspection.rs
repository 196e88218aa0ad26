//! What the page can have done in a swarm: by the node and the sockets of a
//! run, or, without a run, by ones of its own that begin when they are needed.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::analyzer::dial::Utp;
use crate::analyzer::engine::Engine;
use crate::analyzer::inspector::{Inspector, Places};
use crate::clock::Clock;
use crate::config::WebSettings;
use crate::config::settings::{Settings, VisitSettings};
use crate::dht::finder::Finder;
use crate::inspection::{FindPeers, Inspection, Seen, Subject, VisitPeers};
use crate::model::{AddressRules, InfoHash, PeerAddress, PeerId, PieceCount};
use crate::net::guard::Guarded;
use crate::net::tcp::{SocketRegister, TcpConnector};
use crate::net::utp::{UtpConnector, UtpSocket};
use crate::stop::StopToken;
use crate::threads::{VISIT_STACK, spawn};

use super::dht::{Dht, node_settings};
use super::opt_out::address_rules;
use super::prepare::Refusal;
use super::random::random_bytes;
use super::sockets::Sockets;

/// For the page of the run of `engine`.
pub(super) fn of_run(
    web: &WebSettings,
    engine: &Engine,
    dht: Option<&Dht>,
) -> Result<Inspection, Refusal> {
    let finder = dht.and_then(Dht::finder).filter(|_| web.dht);
    let utp = engine.utp.as_ref().map(|utp| utp.sockets.clone());
    let base = Base {
        clock: Arc::clone(&engine.clock),
        stop: engine.stop.clone(),
        sockets: Arc::clone(&engine.sockets),
        rules: Arc::new(rules(web, &engine.settings)?),
        own_id: engine.own_id,
    };
    let visitor =
        (web.visits > 0).then(|| base.inspector(&engine.settings, utp.unwrap_or_default()));
    Ok(Inspection {
        finder: finder.map(|finder| Arc::new(finder) as Arc<dyn FindPeers>),
        visitor: visitor.map(|visitor| Arc::new(visitor) as Arc<dyn VisitPeers>),
    })
}

/// For a page without a run; `settings` with a DHT.
pub(super) fn alone(
    web: &WebSettings,
    settings: &Settings,
    (clock, stop): (&Arc<dyn Clock>, &StopToken),
) -> Result<Inspection, Refusal> {
    let dht = settings.dht.as_ref().filter(|_| web.dht);
    let finder = dht.map(|dht| {
        let node = node_settings(dht, settings.listen.address);
        Arc::new(Finder::later(node, Arc::clone(clock), stop.clone())) as Arc<dyn FindPeers>
    });
    let base = Base {
        clock: Arc::clone(clock),
        stop: stop.clone(),
        sockets: Arc::default(),
        rules: Arc::new(rules(web, settings)?),
        own_id: PeerId::alphanumeric(random_bytes()?.own_id),
    };
    let visitor = Later {
        base,
        settings: settings.clone(),
        inspector: OnceLock::new(),
    };
    let visitor = (web.visits > 0).then(|| Arc::new(visitor) as Arc<dyn VisitPeers>);
    Ok(Inspection { finder, visitor })
}

/// Whom the page may have contacted: what it says of reserved addresses, and
/// the opt-out list of all.
fn rules(web: &WebSettings, settings: &Settings) -> Result<AddressRules, Refusal> {
    Ok(AddressRules {
        allow_private: web.allow_private,
        ..address_rules(&settings.contact)?
    })
}

/// What an inspector is made from.
struct Base {
    clock: Arc<dyn Clock>,
    stop: StopToken,
    sockets: Arc<SocketRegister>,
    rules: Arc<AddressRules>,
    own_id: PeerId,
}

impl Base {
    fn inspector(&self, settings: &Settings, utp: Vec<Arc<UtpSocket>>) -> Inspector {
        let tcp = TcpConnector::new(Arc::clone(&self.sockets), Arc::clone(&self.clock));
        let utp = (!utp.is_empty()).then(|| {
            let connect = Arc::new(UtpConnector::over(utp.clone()));
            let connect = Arc::new(Guarded::new(connect, Arc::clone(&self.rules)));
            let sockets = utp;
            Utp { connect, sockets }
        });
        Inspector {
            clock: Arc::clone(&self.clock),
            stop: self.stop.clone(),
            connect: Arc::new(Guarded::new(Arc::new(tcp), Arc::clone(&self.rules))),
            utp,
            settings: VisitSettings {
                // Nobody is told of anybody, and of nothing of ours.
                listen_port: None,
                dht_port: None,
                peer_exchange: false,
                tracker_exchange: false,
                ..settings.visit.clone()
            },
            metadata_number: settings.input.metadata_number,
            own_id: self.own_id,
            places: Arc::new(Places::new(
                &settings.contact.pace,
                Arc::clone(&self.clock),
                self.stop.clone(),
            )),
        }
    }
}

/// An inspector whose socket for uTP is opened by the first visit.
struct Later {
    base: Base,
    settings: Settings,
    inspector: OnceLock<Inspector>,
}

impl Later {
    fn inspector(&self) -> &Inspector {
        self.inspector.get_or_init(|| {
            let utp = self.open_utp().unwrap_or_else(|error| {
                log::warn!("the page visits without uTP: {error}");
                Vec::new()
            });
            self.base.inspector(&self.settings, utp)
        })
    }

    /// As for a run that only calls.
    fn open_utp(&self) -> Result<Vec<Arc<UtpSocket>>, String> {
        let opened = Sockets::open(&self.settings, &self.base.clock);
        let sockets = opened.map_err(|refusal| refusal.text)?.utp;
        for socket in &sockets {
            let receiving = Arc::clone(socket);
            spawn("utp", VISIT_STACK, move || receiving.run())
                .map_err(|error| error.to_string())?;
        }
        Ok(sockets)
    }
}

impl VisitPeers for Later {
    fn pieces(
        &self,
        info_hash: InfoHash,
        peers: &[PeerAddress],
        limit: Duration,
    ) -> Option<(PieceCount, bool)> {
        self.inspector().pieces(info_hash, peers, limit)
    }

    fn visit(&self, subject: Subject, address: PeerAddress) -> Seen {
        self.inspector().visit(subject, address)
    }
}

impl Drop for Later {
    fn drop(&mut self) {
        self.base.sockets.shut_all();
        let utp = self.inspector.get().and_then(|it| it.utp.as_ref());
        for socket in utp.iter().flat_map(|utp| &utp.sockets) {
            socket.shut();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;
    use crate::clock::SystemClock;
    use crate::config::{Config, Override, Sources, Switches, keys};
    use crate::model::Reason;
    use crate::stop::stop_pair;

    fn alone_with(set: &[(&str, &str)]) -> Arc<dyn VisitPeers> {
        let over = |(name, value): &(&str, &str)| {
            let key = keys::find(name).unwrap();
            Override {
                key,
                value: key.parse(value).unwrap(),
                flag: "--set".to_owned(),
            }
        };
        let sources = Sources {
            overrides: set.iter().map(over).collect(),
            ..Sources::default()
        };
        let config = Config::resolve(&sources).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let settings = config.settings(&Switches::default());
        // The trigger is kept: a lost one stops too.
        let (trigger, stop) = stop_pair();
        std::mem::forget(trigger);
        let inspection = alone(&config.web(), &settings, (&clock, &stop));
        inspection
            .unwrap_or_else(|refusal| panic!("{}", refusal.text))
            .visitor
            .unwrap()
    }

    fn subject() -> Subject {
        Subject {
            info_hash: InfoHash::new([7; 20]),
            pieces: Some(PieceCount(8)),
            private: false,
        }
    }

    #[test]
    fn nobody_at_a_reserved_or_opted_out_address_is_contacted() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("list");
        std::fs::write(&list, "127.0.0.0/8\n").unwrap();
        let list = list.to_str().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = PeerAddress::from(listener.local_addr().unwrap());
        let open = ("contact.allow_private", "true");
        for (set, reason) in [
            // What a run may do is not what the page may do.
            (vec![open], Reason::ReservedAddress),
            (
                vec![
                    ("web.allow_private", "true"),
                    ("contact.opt_out_file", list),
                ],
                Reason::OptedOut,
            ),
        ] {
            let visitor = alone_with(&set);
            let seen = visitor.visit(subject(), address);
            assert_eq!(seen.failure, Some(reason));
            let limit = Duration::from_secs(5);
            assert_eq!(visitor.pieces(subject().info_hash, &[address], limit), None);
        }
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "somebody has called");
    }

    #[test]
    fn a_visit_says_who_we_are_and_asks_for_nothing() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = PeerAddress::from(listener.local_addr().unwrap());
        let peer = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut handshake = [0; 68];
            stream.read_exact(&mut handshake).unwrap();
            let mut answer = handshake;
            answer[20..28].fill(0);
            answer[48..].copy_from_slice(b"-XX0001-aaaaaaaaaaaa");
            std::io::Write::write_all(&mut stream, &answer).unwrap();
            std::io::Write::write_all(&mut stream, &[0, 0, 0, 2, 5, 0xe0]).unwrap();
            let mut rest = Vec::new();
            // It ends when we are let go.
            let _ = stream.read_to_end(&mut rest);
            rest
        });
        let set = [
            ("web.allow_private", "true"),
            ("network_timeout", "0.3"),
            ("visit.transport", "tcp"),
        ];
        let seen = alone_with(&set).visit(subject(), address);
        assert_eq!(
            (seen.failure, seen.complete),
            (None, Some(false)),
            "{seen:?}"
        );
        assert_eq!(seen.pieces, Some(PieceCount(3)));
        assert_eq!(seen.client.as_deref(), Some("-XX0001-"));
        assert_eq!(peer.join().unwrap(), [0; 0], "nothing behind the handshake");
    }
}
