//! `btda lab`: its options. Pure, as all of `cli`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::error::ErrorKind;

use super::{usage, value_of};
use crate::config::{Method, Value, keys, parse_seconds};
use crate::lab::trial::{DhtOfTrial, TrialOptions};
use crate::lab::{Behaviour, MetadataManner, Reach};

/// Options of `btda lab`; those left out keep the defaults of
/// [`TrialOptions`].
#[derive(Debug, Args)]
pub(super) struct LabArguments {
    /// Torrents [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200))]
    torrents: Option<u32>,
    /// Peers that can be called [default: 300]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100_000))]
    peers: Option<u32>,
    /// Peers that call [default: 60]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100_000))]
    callers: Option<u32>,
    /// Length of the story [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    time: Option<Duration>,
    /// The same seed gives the same story [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How often a behaviour occurs, as silent=5 or all=0; repeatable, in their order
    #[arg(long = "share", value_name = "BEHAVIOUR=WEIGHT", value_parser = share)]
    shares: Vec<(Option<Behaviour>, u32)>,
    /// How often parties are reached in a way, as utp=5 or all=0; repeatable, in their order
    #[arg(long = "reach", value_name = "CLASS=WEIGHT", value_parser = reach)]
    reach: Vec<(Option<Reach>, u32)>,
    /// Of the torrents, those given by a magnet link only [default: a fifth]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=200))]
    magnets: Option<u32>,
    /// How often a way to give metadata occurs, as rejects=5 or all=0; repeatable, in their order
    #[arg(long = "metadata", value_name = "MANNER=WEIGHT", value_parser = manner)]
    manners: Vec<(Option<MetadataManner>, u32)>,
    /// DHT node that the analyzer asks: own, pymdht, none [default: own]
    #[arg(long, value_name = "NODE", value_parser = dht)]
    dht: Option<DhtOfTrial>,
    /// Per cent of the peers that only the DHT names [default: 20]
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(1..=100))]
    dht_share: Option<u8>,
    /// Nodes of the DHT [default: 12]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200))]
    dht_nodes: Option<u32>,
    /// Makes all downloads so many times as fast [default: 1]
    #[arg(long, value_name = "FACTOR", value_parser = speed)]
    speed: Option<f64>,
    /// Measure as the thesis did, or with its faults put right: 2015, corrected
    #[arg(long, value_name = "METHOD", value_parser = value_of(&keys::METHOD))]
    method: Option<Value>,
    /// When unfinished peers are visited again: adaptive, fixed
    #[arg(long, value_name = "MODE", value_parser = value_of(&keys::REVISIT_MODE))]
    revisit: Option<Value>,
    /// What happens to peers that are soon to reach the threshold: visit, stay
    #[arg(long, value_name = "WAY", value_parser = value_of(&keys::OBSERVE))]
    observe: Option<Value>,
    /// How long live peers tell what they get while connected [default: 0.8s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    live: Option<Duration>,
    /// Longest wait of the analyzer for a peer or tracker [default: 1s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
    /// Time of the analyzer between two visits of a peer [default: twice --timeout]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    revisit_delay: Option<Duration>,
    /// Folder in which the lab makes a folder for its files [default: output]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// The judgement (or with --only-swarm the places) as JSON
    #[arg(long)]
    json: bool,
    /// Only the swarm, for any client or analyzer, until Ctrl+C or the end of --time
    #[arg(long, conflicts_with_all = ["method", "revisit", "observe", "revisit_delay", "timeout"])]
    only_swarm: bool,
    /// Whom the callers call
    #[arg(long, value_name = "ADDRESS:PORT", requires = "only_swarm")]
    call: Option<SocketAddr>,
}

impl LabArguments {
    pub(super) fn options(self) -> Result<TrialOptions, clap::Error> {
        let usual = TrialOptions::default();
        let count = |given: Option<u32>, usual| given.map_or(usual, |count| count as usize);
        let method = match self.method {
            Some(Value::Text(word)) if word == Method::Thesis2015.as_str() => Method::Thesis2015,
            _ => usual.method,
        };
        let adaptive = self
            .revisit
            .map(|mode| mode == Value::Text("adaptive".into()));
        let options = TrialOptions {
            torrents: count(self.torrents, usual.torrents),
            peers: count(self.peers, usual.peers),
            callers: count(self.callers, usual.callers),
            time: self.time,
            seed: self.seed.unwrap_or(usual.seed),
            shares: TrialOptions::changed(usual.shares, &self.shares),
            reach: TrialOptions::changed(usual.reach, &self.reach),
            magnets: self.magnets.map(|count| count as usize),
            manners: TrialOptions::changed(usual.manners, &self.manners),
            dht: self.dht.unwrap_or(usual.dht),
            dht_share: self.dht_share.unwrap_or(usual.dht_share),
            dht_nodes: count(self.dht_nodes, usual.dht_nodes),
            speed: self.speed.unwrap_or(usual.speed),
            only_swarm: self.only_swarm,
            call: self.call,
            json: self.json,
            method,
            adaptive,
            stay: self.observe == Some(Value::Text("stay".into())),
            live: self.live.unwrap_or(usual.live),
            timeout: self.timeout.unwrap_or(usual.timeout),
            revisit_delay: self.revisit_delay,
            output: self.output.unwrap_or(usual.output),
        };
        options
            .check()
            .map_err(|text| usage(ErrorKind::InvalidValue, &text))?;
        Ok(options)
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let seconds = parse_seconds(text).filter(|seconds| (0.1..=31_536_000.0).contains(seconds));
    let wrong = || "expected a duration from 0.1s to 365d, as 90s".to_owned();
    seconds.map(Duration::from_secs_f64).ok_or_else(wrong)
}

fn share(text: &str) -> Result<(Option<Behaviour>, u32), String> {
    let (name, weight) = weighted(text, "expected BEHAVIOUR=WEIGHT, as silent=5")?;
    if name == "all" {
        return Ok((None, weight));
    }
    let behaviour = Behaviour::named(name).ok_or_else(|| {
        let names = Behaviour::ALL.iter().map(|it| it.as_str());
        unknown("behaviour", name, names)
    })?;
    Ok((Some(behaviour), weight))
}

fn reach(text: &str) -> Result<(Option<Reach>, u32), String> {
    let (name, weight) = weighted(text, "expected CLASS=WEIGHT, as utp=5")?;
    if name == "all" {
        return Ok((None, weight));
    }
    let reach = Reach::named(name).ok_or_else(|| {
        let names = Reach::ALL.iter().map(|it| it.as_str());
        unknown("class", name, names)
    })?;
    Ok((Some(reach), weight))
}

fn manner(text: &str) -> Result<(Option<MetadataManner>, u32), String> {
    let (name, weight) = weighted(text, "expected MANNER=WEIGHT, as rejects=5")?;
    if name == "all" {
        return Ok((None, weight));
    }
    let manner = MetadataManner::named(name).ok_or_else(|| {
        let names = MetadataManner::ALL.iter().map(|it| it.as_str());
        unknown("manner", name, names)
    })?;
    Ok((Some(manner), weight))
}

fn weighted<'a>(text: &'a str, wrong: &str) -> Result<(&'a str, u32), String> {
    let pair = text.split_once('=');
    let pair = pair.and_then(|(name, weight)| Some((name.trim(), weight.trim().parse().ok()?)));
    pair.ok_or_else(|| wrong.to_owned())
}

fn unknown<'a>(what: &str, name: &str, names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    format!(
        "no {what} is called {name:?}; there are: all {}",
        names.join(" ")
    )
}

fn dht(text: &str) -> Result<DhtOfTrial, String> {
    DhtOfTrial::named(text).ok_or_else(|| "expected own, pymdht or none".to_owned())
}

fn speed(text: &str) -> Result<f64, String> {
    let factor: Option<f64> = text.parse().ok();
    factor
        .filter(|factor| (0.01..=100.0).contains(factor))
        .ok_or_else(|| "expected a factor from 0.01 to 100".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::{Request, parse};
    use super::*;
    use crate::lab::LabOptions;

    fn parsed(line: &str) -> Result<TrialOptions, clap::Error> {
        match parse(format!("btda lab {line}").split_whitespace())? {
            Request::Lab(options) => Ok(*options),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_given_is_the_default() {
        assert_eq!(parsed("").unwrap(), TrialOptions::default());
    }

    #[test]
    fn everything_given() {
        let line = "--torrents 2 --peers 30 --callers 4 --time 20s --seed 9 --share all=0 \
                    --share seed=3 --reach tcp=0 --reach utp=7 --magnets 2 --metadata all=0 --metadata gives=4 --dht pymdht \
                    --dht-share 50 --dht-nodes 9 --speed 2.5 --method 2015 --revisit adaptive --observe stay --live 30s \
                    --timeout 0.5 --revisit-delay 3 --output o --json";
        let options = parsed(line).unwrap();
        let wanted = TrialOptions {
            torrents: 2,
            peers: 30,
            callers: 4,
            time: Some(Duration::from_secs(20)),
            seed: 9,
            shares: TrialOptions::changed(
                LabOptions::usual_shares(),
                &[(None, 0), (Some(Behaviour::Seed), 3)],
            ),
            reach: TrialOptions::changed(
                Reach::usual_shares(),
                &[(Some(Reach::Tcp), 0), (Some(Reach::Utp), 7)],
            ),
            magnets: Some(2),
            manners: TrialOptions::changed(
                MetadataManner::usual_shares(),
                &[(None, 0), (Some(MetadataManner::Gives), 4)],
            ),
            dht: DhtOfTrial::Pymdht,
            dht_share: 50,
            dht_nodes: 9,
            speed: 2.5,
            json: true,
            method: Method::Thesis2015,
            adaptive: Some(true),
            stay: true,
            live: Duration::from_secs(30),
            timeout: Duration::from_millis(500),
            revisit_delay: Some(Duration::from_secs(3)),
            output: "o".into(),
            ..TrialOptions::default()
        };
        assert_eq!(options, wanted);
        let swarm = parsed("--only-swarm --call 127.0.0.1:6884").unwrap();
        assert!(swarm.only_swarm && swarm.call.is_some() && swarm.time.is_none());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (line, part) in [
            ("--torrents 0", "1..=200"),
            ("--share fish=1", "no behaviour is called \"fish\""),
            ("--share seed", "expected BEHAVIOUR=WEIGHT"),
            ("--share all=0", "every behaviour has weight 0"),
            ("--reach moon=1", "no class is called \"moon\""),
            ("--reach all=0", "every class has weight 0"),
            ("--metadata no=1", "no manner is called \"no\""),
            ("--metadata all=0", "every manner has weight 0"),
            ("--magnets 6", "not so many torrents"),
            ("--dht mainline", "expected own, pymdht or none"),
            ("--dht-share 0", "1..=100"),
            ("--speed 0", "expected a factor"),
            ("--time soon", "expected a duration"),
            ("--time 2s", "too short"),
            ("--call 127.0.0.1:1", "--only-swarm"),
            ("--only-swarm --method 2015", "cannot be used with"),
            ("-a", "unexpected argument"),
        ] {
            let error = parsed(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
            assert!(error.to_string().contains(part), "{line}: {error}");
        }
    }
}
