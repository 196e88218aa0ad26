//! What a trial is made from, and what follows from it for swarm, analyzer
//! and judge. Pure.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::super::behaviour::Behaviour;
use super::super::judge::{Terms, Ways};
use super::super::manner::MetadataManner;
use super::super::plan::{LabOptions, Plan};
use super::super::reach::Reach;
use super::super::truth::Rules;
use super::dht::{DhtOfTrial, DhtPlaces};
use crate::config::Method;
use crate::config::settings::Identity;
use crate::model::Timestamp;

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialOptions {
    /// Torrents.
    pub torrents: usize,
    /// Peers that can be called.
    pub peers: usize,
    /// Peers that call.
    pub callers: usize,
    /// Length of the story; its last part is for ending in order. `None`: a
    /// minute, but with [`Self::only_swarm`] the swarm stays behind its end,
    /// with everything loaded that was to be.
    pub time: Option<Duration>,
    /// Everything that looks random follows from it.
    pub seed: u64,
    /// Weight of each behaviour.
    pub shares: Vec<(Behaviour, u32)>,
    /// Weight of each class of reach.
    pub reach: Vec<(Reach, u32)>,
    /// Downloads are so many times as fast as usual.
    pub speed: f64,
    /// No analyzer: print where everything is and wait.
    pub only_swarm: bool,
    /// With [`Self::only_swarm`]: whom the callers call.
    pub call: Option<SocketAddr>,
    /// The judgement as JSON.
    pub json: bool,
    /// Of the torrents, those given by a magnet link only; `None`: a fifth.
    pub magnets: Option<usize>,
    /// Weight of each way to give metadata.
    pub manners: Vec<(MetadataManner, u32)>,
    /// The DHT that the analyzer asks.
    pub dht: DhtOfTrial,
    /// Per cent of the peers that only the DHT names.
    pub dht_share: u8,
    /// Nodes of the DHT.
    pub dht_nodes: usize,
    /// How the analyzer measures.
    pub method: Method,
    /// `revisit.mode` of the analyzer; `None` leaves it to the method.
    pub adaptive: Option<bool>,
    /// Whether the analyzer stays with peers (`revisit.observe`).
    pub stay: bool,
    /// How long live peers go on telling what they get while connected.
    pub live: Duration,
    /// `network_timeout` of the analyzer.
    pub timeout: Duration,
    /// `peer_revisit_delay` of the analyzer; `None`: twice the timeout.
    pub revisit_delay: Option<Duration>,
    /// Folder in which the trial makes a folder of its own.
    pub output: PathBuf,
}

/// `receive_message_max` of a trial: below the pieces of some torrents, so
/// that the limit is part of every story.
const MESSAGE_LIMIT: u32 = 256;

/// Length of a story whose length nobody chose.
const STORY: Duration = Duration::from_secs(60);

/// How long pieces are told while connected, unless somebody chose.
const LIVE: Duration = Duration::from_millis(800);

/// Threshold of the default configuration.
const THRESHOLD: f64 = 0.98;

/// What a swarm on loopback needs, whatever the options.
const ON_LOOPBACK: &str = "\
     # The swarm is on loopback, some thousand peers in one network.\n\
     [contact]\n\
     allow_private = true\n\
     per_second_max = 0\n\
     per_second_network_max = 0\n\
     per_second_torrent_max = 0\n\
     \n\
     [listen]\n\
     address = \"127.0.0.1\"\n\
     callers_per_address_max = 4096\n\
     \n\
     [storage]\n\
     geolocation_database = \"\"\n";

impl TrialOptions {
    /// The `usual` weights (of behaviours or of anything else), changed by
    /// `changes` in their order; `None` is every one.
    pub fn changed<T: Copy + PartialEq>(
        mut usual: Vec<(T, u32)>,
        changes: &[(Option<T>, u32)],
    ) -> Vec<(T, u32)> {
        for (which, weight) in changes {
            for (one, share) in &mut usual {
                if which.is_none_or(|which| which == *one) {
                    *share = *weight;
                }
            }
        }
        usual
    }

    /// The options of the story.
    pub(super) fn lab(&self) -> LabOptions {
        let usual = LabOptions::default();
        let download = |factor: f64| self.story().mul_f64(factor / self.speed);
        LabOptions {
            torrents: self.torrents,
            peers: self.peers,
            callers: self.callers,
            seed: self.seed,
            duration: self.story(),
            ending: if self.only_swarm {
                Duration::ZERO
            } else {
                self.ending()
            },
            shares: self.shares.clone(),
            reach: self.reach.clone(),
            pieces: (40, 400),
            download: (download(0.3), download(2.0)),
            message_limit: self.message_limit(),
            // Slow parties are slow by the measure of the analyzer.
            drip: (self.timeout / 2).min(usual.drip),
            live_pause: (self.timeout / 6).min(usual.live_pause),
            live_time: self.live,
            tracker_interval: Duration::from_secs(2),
            answer_peers: 100,
            magnets: self.magnets.unwrap_or(self.torrents / 5),
            manners: self.manners.clone(),
            dht: if self.dht == DhtOfTrial::None {
                0
            } else {
                self.dht_share
            },
            dht_nodes: self.dht_nodes,
            ..usual
        }
    }

    /// The longest contact: connection, handshake, messages, quiet; and a
    /// second for slow machines.
    fn ending(&self) -> Duration {
        self.timeout * 3 + self.live.min(LIVE) + Duration::from_secs(1)
    }

    /// What is wrong with them together, for a person.
    pub fn check(&self) -> Result<(), String> {
        let least = self.ending() + self.revisit();
        if !self.only_swarm && self.story() < least {
            return Err(format!(
                "--time is too short to measure anything: give at least {} s",
                least.as_secs_f64().ceil()
            ));
        }
        if self.shares.iter().all(|(_, weight)| *weight == 0) {
            return Err("--share: every behaviour has weight 0".to_owned());
        }
        if self.reach.iter().all(|(_, weight)| *weight == 0) {
            return Err("--reach: every class has weight 0".to_owned());
        }
        if self.manners.iter().all(|(_, weight)| *weight == 0) {
            return Err("--metadata: every manner has weight 0".to_owned());
        }
        if self.magnets.is_some_and(|magnets| magnets > self.torrents) {
            return Err("--magnets: there are not so many torrents".to_owned());
        }
        Ok(())
    }

    /// `receive_message_max`. The limit does not bind a stay, so where long visits
    /// are wanted it is out of the way for all.
    fn message_limit(&self) -> u32 {
        if self.stay || self.live > LIVE {
            MESSAGE_LIMIT * 16
        } else {
            MESSAGE_LIMIT
        }
    }

    /// `visit.budget_seconds`: as usual; but where peers go on telling, it is what
    /// ends visits, and stands to the timeout as it usually does.
    fn budget(&self) -> Duration {
        if self.live > LIVE {
            self.timeout * 10
        } else {
            Duration::from_secs(60)
        }
    }

    /// Length of the story.
    pub(super) fn story(&self) -> Duration {
        self.time.unwrap_or(STORY)
    }

    /// `peer_revisit_delay`.
    pub(super) fn revisit(&self) -> Duration {
        self.revisit_delay.unwrap_or(self.timeout * 2)
    }

    /// The configuration file of the analyzer.
    pub(super) fn configuration(&self, dht: Option<&DhtPlaces>) -> String {
        let dht_top = dht.map_or(String::new(), DhtPlaces::top);
        let dht_table = dht.map_or(String::new(), |dht| dht.table(self.dht));
        format!(
            "# Written by btda lab.\n\
             network_timeout = {timeout}\n\
             peer_revisit_delay = {revisit}\n\
             peer_evaluation_threads = {threads}\n\
             receive_message_max = {messages}\n\
             tracker_request_interval = 2\n\
             statistic_interval = 2\n\
             evaluator_reaction = 1\n\
             bittorrent_listen_port = 0\n\
             torrent_complete_threshold = {THRESHOLD}\n\
             {dht_top}\n\
             [run]\n\
             method = \"{method}\"\n\
             # A net, should nobody be left to stop it.\n\
             duration_seconds = {net}\n\
             \n\
             {revisits}\
             [retry]\n\
             first_delay_seconds = {revisit}\n\
             tracked_delay_seconds = {timeout}\n\
             factor = 1.5\n\
             max_delay_seconds = {longest}\n\
             attempts = 255\n\
             tracked_attempts = 255\n\
             \n\
             [visit]\n\
             budget_seconds = {budget}\n\
             \n\
             {ON_LOOPBACK}\
             {dht_table}",
            timeout = self.timeout.as_secs_f64(),
            messages = self.message_limit(),
            budget = self.budget().as_secs_f64(),
            revisits = self.revisits(),
            revisit = self.revisit().as_secs_f64(),
            longest = (self.revisit() * 2).as_secs_f64(),
            threads = self.peers.clamp(16, 1024),
            method = self.method.as_str(),
            net = self.story().as_secs() + 120,
        )
    }

    /// The table `[revisit]`.
    fn revisits(&self) -> String {
        let mode = match self.adaptive {
            Some(true) => "mode = \"adaptive\"\n",
            Some(false) => "mode = \"fixed\"\n",
            None => "",
        };
        let observe = if self.stay { "stay" } else { "visit" };
        format!(
            "[revisit]\n{mode}soonest_seconds = {soonest}\nlatest_seconds = {latest}\n\
             early_per_second_max = 1000\nobserve = \"{observe}\"\nobserve_threads = {threads}\n\
             stay_within_seconds = {usual}\nstay_seconds_max = {latest}\n\
             have_delay_seconds = {delay}\n\n",
            soonest = (self.revisit() / 10).as_secs_f64().max(0.1),
            usual = self.revisit().as_secs_f64(),
            latest = (self.revisit() * 3).as_secs_f64(),
            threads = (self.peers / 4).clamp(16, 256),
            // Its peers tell every piece at once; more would have them looked at.
            delay = self.timeout.as_secs_f64().min(1.0),
        )
    }

    /// What the judge has to know.
    pub(super) fn terms(&self, stopped: Timestamp) -> Terms {
        let quiet = u32::try_from(self.timeout.as_millis()).unwrap_or(u32::MAX);
        let corrected = self.method == Method::Corrected;
        Terms {
            rules: if corrected {
                Rules::corrected(quiet)
            } else {
                Rules::thesis(quiet)
            },
            threshold: THRESHOLD,
            identity: if corrected {
                Identity::Extended
            } else {
                Identity::Thesis2015
            },
            revisit: i64::try_from(self.revisit().as_millis()).unwrap_or(i64::MAX),
            retry: corrected,
            ways: if corrected { Ways::ALL } else { Ways::THESIS },
            stopped: Some(stopped),
        }
    }

    /// One line that says what this is.
    pub(super) fn headline(&self, plan: &Plan) -> String {
        let digest = plan.digest().to_string();
        let digest = digest.get(..16).unwrap_or_default();
        let method = if self.only_swarm {
            String::new()
        } else {
            format!(", method {}", self.method.as_str())
        };
        format!(
            "practice swarm of seed {} (plan {digest}): {} torrents, {} peers, {} callers, {} s{method}",
            self.seed,
            plan.torrents.len(),
            plan.peers.len(),
            plan.callers.len(),
            self.story().as_secs_f64(),
        )
    }
}

impl Default for TrialOptions {
    /// What `btda lab` does without options: about a minute on two slow cores.
    fn default() -> Self {
        Self {
            torrents: 5,
            peers: 300,
            callers: 60,
            time: None,
            seed: 1,
            shares: LabOptions::usual_shares(),
            reach: Reach::usual_shares(),
            speed: 1.0,
            magnets: None,
            manners: MetadataManner::usual_shares(),
            dht: DhtOfTrial::Own,
            dht_share: 20,
            dht_nodes: 12,
            only_swarm: false,
            call: None,
            json: false,
            method: Method::Corrected,
            adaptive: None,
            stay: false,
            live: LIVE,
            timeout: Duration::from_secs(1),
            revisit_delay: None,
            output: PathBuf::from("output"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, FileText, Settings, Sources, Switches};
    use crate::model::Transport;

    fn places() -> DhtPlaces {
        DhtPlaces {
            control: 17_001,
            node: 17_000,
            bootstrap: vec!["127.120.0.1:5".parse().unwrap()],
        }
    }

    fn settings(options: &TrialOptions) -> Settings {
        let sources = Sources {
            file: Some(FileText {
                path: "lab.toml".into(),
                bytes: options.configuration(Some(&places())).into_bytes(),
            }),
            ..Sources::default()
        };
        let config = Config::resolve(&sources).unwrap();
        assert_eq!(config.warnings(), Vec::<String>::new());
        config.settings(&Switches {
            dht: true,
            ..Switches::default()
        })
    }

    #[test]
    fn the_configuration_is_what_the_judge_takes_for_granted() {
        for method in [Method::Corrected, Method::Thesis2015] {
            let options = TrialOptions {
                method,
                timeout: Duration::from_millis(1_500),
                ..TrialOptions::default()
            };
            let settings = settings(&options);
            let terms = options.terms(Timestamp(0));
            let visit = &settings.visit;
            let rules = Rules {
                keep_partial: visit.keep_partial,
                ignore_malformed: visit.ignore_malformed,
                finish_when_complete: visit.finish_when_complete,
                quiet: u32::try_from(visit.quiet_timeout.as_millis()).unwrap(),
            };
            assert_eq!(terms.rules, rules);
            assert_eq!(terms.retry, settings.policy.retry);
            let ways = Ways {
                encryption: visit.encryption.attempts() == [false, true],
                utp: visit.transport.attempts() == [Transport::Tcp, Transport::Utp],
                ipv6: settings.contact.ipv6,
            };
            assert_eq!(terms.ways, ways);
            let named = visit.extension_protocol && visit.peer_exchange;
            assert_eq!(named, method == Method::Corrected);
            assert_eq!(terms.identity, settings.identity);
            let revisit = settings.policy.revisit_delay.as_millis();
            assert_eq!(u128::try_from(terms.revisit), Ok(revisit));
            assert!((terms.threshold - settings.complete_threshold).abs() < 1e-12);
            let lab = options.lab();
            assert_eq!(lab.message_limit, visit.message_limit);
            assert!(lab.live_pause * 3 < visit.quiet_timeout);
            assert_eq!(settings.method, method);
            let dht = settings.dht.unwrap();
            assert_eq!((dht.control_port, dht.node_port), (17_001, 17_000));
            assert_eq!(dht.bootstrap, ["127.120.0.1:5"]);
            assert!(dht.allow_private);
        }
    }

    #[test]
    fn shares_are_changed_in_their_order() {
        let usual = LabOptions::usual_shares;
        let some = TrialOptions::changed(usual(), &[(None, 0), (Some(Behaviour::Seed), 3)]);
        let weights: u32 = some.iter().map(|(_, weight)| weight).sum();
        assert_eq!(weights, 3);
        assert_eq!(TrialOptions::changed(usual(), &[]), usual());
    }

    #[test]
    fn without_dht_there_are_no_nodes_and_links_have_trackers() {
        let options = TrialOptions {
            magnets: Some(3),
            dht: DhtOfTrial::None,
            ..TrialOptions::default()
        };
        let plan = Plan::new(options.lab());
        assert!(plan.nodes.is_empty());
        let links = plan.torrents.iter().filter(|it| it.magnet.is_some());
        assert_eq!(links.clone().count(), 3);
        assert!(links.into_iter().all(|it| !it.trackers.is_empty()));
        assert_eq!(TrialOptions::default().lab().magnets, 1);
    }

    #[test]
    fn speed_shortens_downloads() {
        let options = TrialOptions {
            speed: 2.0,
            ..TrialOptions::default()
        };
        let download = options.lab().download;
        assert_eq!(download, (Duration::from_secs(9), Duration::from_secs(60)));
    }
}
