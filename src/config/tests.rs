//! Tests of precedence, method and conversion.

use std::net::IpAddr;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::settings::Identity;

fn file(text: &str) -> FileText {
    FileText {
        path: PathBuf::from("c.toml"),
        bytes: text.as_bytes().to_vec(),
    }
}

fn environment(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)))
        .collect()
}

fn flag(key: &'static Key, text: &str) -> Override {
    Override {
        key,
        value: key.parse(text).unwrap(),
        flag: "--set".to_owned(),
    }
}

fn defaults() -> Config {
    Config::resolve(&Sources::default()).unwrap()
}

#[test]
fn flag_before_environment_before_file_before_default() {
    let mut sources = Sources::default();
    let timeout = |sources: &Sources| {
        let config = Config::resolve(sources).unwrap();
        let entry = config.entry(&keys::NETWORK_TIMEOUT).unwrap().clone();
        (entry.value, entry.origin.to_string())
    };
    let expect = |seconds, origin: &str| (Value::Number(seconds), origin.to_owned());
    assert_eq!(timeout(&sources), expect(6.0, "default"));
    sources.file = Some(file("\nnetwork_timeout = 7"));
    assert_eq!(timeout(&sources), expect(7.0, "c.toml:2"));
    sources.environment = environment(&[("BTDA_NETWORK_TIMEOUT", "8s"), ("HOME", "/")]);
    assert_eq!(
        timeout(&sources),
        expect(8.0, "environment BTDA_NETWORK_TIMEOUT")
    );
    sources.overrides = vec![flag(&keys::NETWORK_TIMEOUT, "9")];
    assert_eq!(timeout(&sources), expect(9.0, "flag --set"));
}

#[test]
fn the_default_file_gives_the_defaults_and_leaves_the_method_free() {
    let text = default_file();
    let mut sources = Sources {
        file: Some(file(&text)),
        ..Sources::default()
    };
    let config = Config::resolve(&sources).unwrap();
    for (entry, default) in config.entries().iter().zip(defaults().entries()) {
        assert_eq!(entry.value, default.value, "{}", entry.key.name);
        let name = entry.key.path().1;
        assert!(text.contains(&format!("{name} = ")), "{name}");
    }
    sources.overrides = vec![flag(&keys::METHOD, "2015")];
    let config = Config::resolve(&sources).unwrap();
    assert_eq!(config.warnings(), Vec::<String>::new());
    for (key, value) in keys::method_2015() {
        let entry = config.entry(key).unwrap();
        assert_eq!((&entry.value, &entry.origin), (&value, &Origin::Method2015));
    }
}

#[test]
fn every_line_of_the_default_file_is_used_when_uncommented() {
    let lines: Vec<_> = default_file()
        .lines()
        .map(|line| {
            let bare = line.strip_prefix("# ").unwrap_or(line);
            let is_key = keys::method_2015()
                .iter()
                .any(|(key, _)| bare.starts_with(&format!("{} = ", key.path().1)));
            if is_key { bare } else { line }.to_owned()
        })
        .collect();
    let text = lines.join("\n");
    let sources = Sources {
        file: Some(file(&text)),
        ..Sources::default()
    };
    let config = Config::resolve(&sources).unwrap();
    for entry in config.entries() {
        assert!(entry.origin.is_explicit(), "{}", entry.key.name);
        assert_eq!(entry.value, entry.key.default);
    }
}

#[test]
fn what_is_written_down_goes_before_the_method() {
    let sources = Sources {
        file: Some(file(
            "run.method = '2015'\nretry.enabled = true\n[visit]\nkeep_partial = false",
        )),
        ..Sources::default()
    };
    let config = Config::resolve(&sources).unwrap();
    let settings = config.settings(&Switches::default());
    assert_eq!(settings.method, Method::Thesis2015);
    assert!(settings.policy.retry);
    assert!(!settings.visit.keep_partial);
    assert!(settings.visit.ignore_malformed);
    assert!(!settings.visit.fast_extension);
    assert!(!settings.visit.extension_protocol);
    assert_eq!(settings.identity, Identity::Thesis2015);
    assert!(settings.storage.speed_gap.is_zero());
    assert!(!settings.listen.ipv6);
    assert!(!settings.visit.finish_when_complete);
    assert_eq!(
        config.warnings(),
        ["this run is not purely the method of 2015: retry.enabled = true (c.toml:2)"]
    );
}

#[test]
fn calibration_reads_to_the_end() {
    let mut sources = Sources {
        file: Some(file("rec_dur_analysis = true")),
        ..Sources::default()
    };
    let config = Config::resolve(&sources).unwrap();
    let settings = config.settings(&Switches::default());
    assert!(settings.storage.calibration);
    assert!(!settings.visit.finish_when_complete);
    assert!(config.warnings().is_empty());
    sources.environment = environment(&[("BTDA_VISIT_FINISH_WHEN_COMPLETE", "true")]);
    let config = Config::resolve(&sources).unwrap();
    assert!(
        config
            .settings(&Switches::default())
            .visit
            .finish_when_complete
    );
    assert_eq!(config.warnings().len(), 1);
}

#[test]
fn wrong_environment_is_refused_by_name() {
    let sources = Sources {
        file: Some(file("retry.factr = 1")),
        environment: environment(&[
            ("BTDA_NETWORK_TIMOUT", "5"),
            ("BTDA_RETRY_FACTOR", "0"),
            ("BTDA_", ""),
        ]),
        ..Sources::default()
    };
    let error = Config::resolve(&sources).unwrap_err().to_string();
    let lines: Vec<_> = error.lines().collect();
    assert_eq!(lines.len(), 4, "{error}");
    assert!(
        lines[0].starts_with("c.toml:1:7: unknown key \"retry.factr\""),
        "{error}"
    );
    assert!(
        lines[1].starts_with("environment BTDA_: no such setting"),
        "{error}"
    );
    assert_eq!(
        lines[2],
        "environment BTDA_NETWORK_TIMOUT: no such setting; did you mean BTDA_NETWORK_TIMEOUT?"
    );
    assert_eq!(
        lines[3],
        "environment BTDA_RETRY_FACTOR: retry.factor: expected a number from 1 to 100, found \"0\""
    );
}

#[test]
fn values_that_do_not_go_together() {
    let sources = Sources {
        file: Some(file("[retry]\nmax_delay_seconds = 300")),
        overrides: vec![flag(&keys::NETWORK_TIMEOUT, "2m")],
        ..Sources::default()
    };
    let error = Config::resolve(&sources).unwrap_err().to_string();
    let lines: Vec<_> = error.lines().collect();
    assert_eq!(lines.len(), 2, "{error}");
    assert!(lines[0].starts_with("--set: network_timeout = 120 (flag --set) is greater than visit.budget_seconds = 60 (default)"));
    assert!(lines[1].starts_with("c.toml:2:1: retry.first_delay_seconds = 600 (default)"));
}

#[test]
fn settings_of_the_defaults() {
    let switches = Switches {
        active: true,
        files: vec![PathBuf::from("a.torrent")],
        ..Switches::default()
    };
    let settings = defaults().settings(&switches);
    assert!(settings.active && !settings.passive);
    assert_eq!(settings.duration, None);
    assert_eq!(settings.workers, 1024);
    assert_eq!(settings.visit.quiet_timeout, Duration::from_secs(6));
    assert_eq!(settings.tracker.num_want, None);
    assert_eq!(settings.tracker.body_limit, 2 << 20);
    assert_eq!(settings.input.files, [PathBuf::from("a.torrent")]);
    assert_eq!(
        settings.storage.geolocation,
        Some(PathBuf::from("input/GeoLite2-City.mmdb"))
    );
    assert_eq!(settings.listen.address, IpAddr::from([0, 0, 0, 0]));
    assert_eq!(settings.log.level, log::LevelFilter::Warn);
    let debug = Switches {
        debug: true,
        ..Switches::default()
    };
    let log = defaults().settings(&debug).log;
    assert_eq!((log.level, log.to_console), (log::LevelFilter::Debug, true));
}

/// The greatest and smallest values of every key survive the conversion to
/// the types of the settings.
#[test]
fn extremes_reach_the_settings() {
    let extreme = |greatest: bool| {
        let overrides = keys::all()
            .filter_map(|key| {
                let value = match key.kind {
                    Kind::Integer { min, max } => Value::Integer(if greatest { max } else { min }),
                    _ => return None,
                };
                let flag = "--set".to_owned();
                Some(Override { key, value, flag })
            })
            .collect();
        let sources = Sources {
            overrides,
            ..Sources::default()
        };
        Config::resolve(&sources)
            .unwrap()
            .settings(&Switches::default())
    };
    let most = extreme(true);
    assert_eq!(most.policy.attempts, 255);
    assert_eq!(most.policy.tracked_attempts, 255);
    assert_eq!(most.listen.port, 65_535);
    assert_eq!(most.tracker.announce_port, 65_535);
    assert_eq!(most.tracker.udp_default_port, 65_535);
    assert_eq!(most.tracker.num_want, Some(10_000));
    assert_eq!(most.tracker.redirects_max, 20);
    assert_eq!(most.visit.message_limit, 1_000_000);
    assert_eq!(most.storage.queue_length, 10_000_000);
    let least = extreme(false);
    assert_eq!(least.workers, 1);
    assert_eq!(least.policy.attempts, 1);
    assert_eq!(least.listen.port, 0);
    assert_eq!(least.storage.batch_rows, 1);
}

#[test]
fn the_table_is_a_configuration_file() {
    // Wider than a column of the standard library can be.
    let wide = format!("input_path = '{}'", "v".repeat(70_000));
    let sources = Sources {
        file: Some(file(&format!("output_path = 'a\\\"b#c'\n{wide}"))),
        overrides: vec![flag(&keys::FACTOR, "2.5")],
        ..Sources::default()
    };
    let config = Config::resolve(&sources).unwrap();
    let table = config.table();
    assert!(table.contains("# flag --set\n"), "{table}");
    let again = Config::resolve(&Sources {
        file: Some(file(&table)),
        ..Sources::default()
    })
    .unwrap();
    for (one, two) in config.entries().iter().zip(again.entries()) {
        assert_eq!(one.value, two.value);
    }
}

#[test]
fn json_has_value_and_origin() {
    let json = defaults().to_json();
    assert_eq!(json["network_timeout"]["value"], 6.0);
    assert_eq!(json["retry.enabled"]["origin"], "default");
    assert_eq!(json.as_object().unwrap().len(), keys::all().count());
}

proptest! {
    /// Whatever `show` writes, the file reader reads back.
    #[test]
    fn shown_values_are_read_back(number in 0.1f64..3600.0, path in "[^\0]{1,20}") {
        for (key, value) in [
            (&keys::NETWORK_TIMEOUT, Value::Number(number)),
            (&keys::OUTPUT_PATH, Value::Text(path.clone().into())),
        ] {
            let text = format!("visit.budget_seconds = 3600\n{} = {}", key.name, key.show(&value));
            let sources = Sources { file: Some(file(&text)), ..Sources::default() };
            let config = Config::resolve(&sources).unwrap();
            prop_assert_eq!(config.value(key), &value);
        }
    }
}
