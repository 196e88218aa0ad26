//! `btda lab`: its options. Pure, as all of `cli`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::error::ErrorKind;

use super::{usage, value_of};
use crate::config::{Method, Value, keys, parse_seconds};
use crate::lab::Behaviour;
use crate::lab::trial::TrialOptions;

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
    /// Makes all downloads so many times as fast [default: 1]
    #[arg(long, value_name = "FACTOR", value_parser = speed)]
    speed: Option<f64>,
    /// Measure as the thesis did, or with its faults put right: 2015, corrected
    #[arg(long, value_name = "METHOD", value_parser = value_of(&keys::METHOD))]
    method: Option<Value>,
    /// When unfinished peers are visited again: adaptive, fixed
    #[arg(long, value_name = "MODE", value_parser = value_of(&keys::REVISIT_MODE))]
    revisit: Option<Value>,
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
    #[arg(long, conflicts_with_all = ["method", "revisit", "revisit_delay", "timeout"])]
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
            shares: TrialOptions::shares(&self.shares),
            speed: self.speed.unwrap_or(usual.speed),
            only_swarm: self.only_swarm,
            call: self.call,
            json: self.json,
            method,
            adaptive,
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
    let wrong = || "expected BEHAVIOUR=WEIGHT, as silent=5".to_owned();
    let (name, weight) = text.split_once('=').ok_or_else(wrong)?;
    let weight = weight.trim().parse().map_err(|_| wrong())?;
    let name = name.trim();
    if name == "all" {
        return Ok((None, weight));
    }
    let behaviour = Behaviour::named(name).ok_or_else(|| {
        let names: Vec<_> = Behaviour::ALL.iter().map(|it| it.as_str()).collect();
        format!(
            "no behaviour is called {name:?}; there are: all {}",
            names.join(" ")
        )
    })?;
    Ok((Some(behaviour), weight))
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
                    --share seed=3 --speed 2.5 --method 2015 --revisit adaptive --timeout 0.5 --revisit-delay 3 --output o --json";
        let options = parsed(line).unwrap();
        let wanted = TrialOptions {
            torrents: 2,
            peers: 30,
            callers: 4,
            time: Some(Duration::from_secs(20)),
            seed: 9,
            shares: TrialOptions::shares(&[(None, 0), (Some(Behaviour::Seed), 3)]),
            speed: 2.5,
            json: true,
            method: Method::Thesis2015,
            adaptive: Some(true),
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
