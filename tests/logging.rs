//! The log of a process: started once, written to by threads, outliving
//! panics.

use std::fs;
use std::sync::Arc;

use btda::clock::SystemClock;
use btda::config::settings::LogSettings;
use btda::logging::{CRITICAL, LoggingError, start};
use log::{LevelFilter, debug, error, warn};

/// One test, for a process has one log.
#[test]
fn a_run_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let settings = LogSettings {
        level: LevelFilter::Warn,
        to_console: false,
        addresses: false,
    };
    let clock = Arc::new(SystemClock::new());

    let nowhere = folder.path().join("none/run.log");
    let refused = start(&settings, &nowhere, clock.clone()).unwrap_err();
    assert!(matches!(refused, LoggingError::File { .. }));
    assert!(
        refused.to_string().contains("is the output folder there"),
        "{refused}"
    );

    let file = folder.path().join("run.log");
    let counts = start(&settings, &file, clock.clone()).unwrap();
    let again = start(&settings, &file, clock).unwrap_err();
    assert!(matches!(again, LoggingError::Started));

    debug!("not of interest");
    warn!("tracker=http://192.0.2.1:80/announce said=\"ERROR\nof mine\"");
    error!(target: CRITICAL, "record lost");
    let worker = std::thread::Builder::new()
        .name("contact-0007".to_owned())
        .spawn(|| panic!("no peer at {}", "192.0.2.77:6881"))
        .unwrap();
    assert!(worker.join().is_err());

    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<_> = text
        .lines()
        .map(|line| line.split_once(':').unwrap().1)
        .collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert_eq!(
        lines[0],
        "WARNING:logging:a_run_of_the_log] tracker=http://<address>:80/announce \
         said=\"error\\nof mine\""
    );
    assert_eq!(lines[1], "CRITICAL:logging:a_run_of_the_log] record lost");
    let panic = lines[2];
    assert!(
        panic.starts_with("CRITICAL:logging:contact-0007] panic at "),
        "{panic}"
    );
    assert!(panic.contains("tests/logging.rs:"), "{panic}");
    assert!(panic.ends_with("no peer at <address>:6881"), "{panic}");
    assert_eq!(
        (counts.warnings(), counts.errors(), counts.lost()),
        (1, 2, 0)
    );
}
