//! Configuration files.

use std::path::PathBuf;

use btda::config::{Config, FileText, SIZE_MAX, Sources, Switches};

use super::input::is_harmless;

/// Reads `data` as a configuration file.
pub fn check(data: &[u8]) {
    if data.len() as u64 > SIZE_MAX {
        return;
    }
    match resolve(data) {
        Ok(config) => {
            let _ = config.settings(&Switches::default());
            let _ = config.to_json();
            for warning in config.warnings() {
                assert!(is_harmless(&warning), "{warning:?}");
            }
            comes_back_from_its_table(&config);
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
            for problem in problems {
                assert!(is_harmless(&problem), "{problem:?}");
                assert!(problem.len() < 2_000, "{problem}");
            }
        }
    }
}

/// `btda config` prints a file that means the same.
fn comes_back_from_its_table(config: &Config) {
    let table = config.table();
    let again = resolve(table.as_bytes()).expect("the printed table is refused");
    for (entry, again) in config.entries().iter().zip(again.entries()) {
        assert_eq!(entry.key.name, again.key.name);
        assert_eq!(entry.value, again.value, "{}", entry.key.name);
    }
}

fn resolve(bytes: &[u8]) -> Result<Config, Vec<String>> {
    let file = FileText {
        path: PathBuf::from("config.toml"),
        bytes: bytes.to_vec(),
    };
    Config::resolve(&Sources {
        file: Some(file),
        ..Sources::default()
    })
    .map_err(|error| error.problems().iter().map(ToString::to_string).collect())
}
