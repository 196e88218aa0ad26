//! `btda doctor`: says what is wrong with a result file and, if asked to,
//! puts right what can be.

use std::fmt::Write as _;

use serde_json::json;

use crate::clock::{Clock, SystemClock};
use crate::exit::Exit;
use crate::storage::doctor::{Case, Diagnosis, DoctorError, Level, Repair, examine, repair};
use crate::terminal::{complain, print};

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DoctorOptions {
    /// The file, and what belongs to it.
    pub case: Case,
    /// Put right what can be; without it nothing is changed.
    pub repair: bool,
    /// The diagnosis as JSON.
    pub json: bool,
}

/// Runs the command. `Success` when nothing is wrong (any more), `Failed` when
/// something is or the file cannot be examined, `OutputNotWritable` when a
/// repair could not be written.
pub fn run(options: &DoctorOptions) -> Exit {
    match examine(&options.case) {
        Ok(diagnosis) if options.repair => mend(options, &diagnosis),
        Ok(diagnosis) => report(options, &diagnosis, &[]),
        Err(error) => refuse(&error, Exit::Failed),
    }
}

fn mend(options: &DoctorOptions, diagnosis: &Diagnosis) -> Exit {
    let now = SystemClock::new().timestamp();
    match repair(&options.case, diagnosis, now) {
        Ok(done) => match examine(&options.case) {
            Ok(left) => report(options, &left, &done),
            Err(error) => refuse(&error, Exit::Failed),
        },
        Err(error @ DoctorError::Storage(_)) => refuse(&error, Exit::OutputNotWritable),
        Err(error) => refuse(&error, Exit::Failed),
    }
}

fn refuse(error: &DoctorError, exit: Exit) -> Exit {
    complain(&error.to_string());
    exit
}

fn report(options: &DoctorOptions, diagnosis: &Diagnosis, done: &[String]) -> Exit {
    let told = if options.json {
        print(&as_json(options, diagnosis, done))
    } else {
        print(&as_text(options, diagnosis, done))
    };
    match told {
        Exit::Success if diagnosis.is_sound() => Exit::Success,
        _ => Exit::Failed,
    }
}

fn as_json(options: &DoctorOptions, diagnosis: &Diagnosis, done: &[String]) -> String {
    let findings: Vec<_> = diagnosis
        .findings
        .iter()
        .map(|it| {
            json!({
                "check": it.check,
                "level": it.level.as_str(),
                "text": it.text,
                "repair": it.repair.as_ref().map(Repair::plan),
            })
        })
        .collect();
    let value = json!({
        "database": options.case.database.to_string_lossy(),
        "kind": diagnosis.kind,
        "state": diagnosis.state,
        "sound": diagnosis.is_sound(),
        "repaired": done,
        "findings": findings,
    });
    format!("{value:#}\n")
}

fn as_text(options: &DoctorOptions, diagnosis: &Diagnosis, done: &[String]) -> String {
    let mut text = format!("{}: {}", options.case.database.display(), kind(diagnosis));
    if let Some(state) = &diagnosis.state {
        // Writing to a String cannot fail, here and below.
        let _ = write!(text, ", {state}");
    }
    text.push('\n');
    for line in done {
        let _ = writeln!(text, "repaired {line}");
    }
    for finding in &diagnosis.findings {
        let level = finding.level.as_str();
        let _ = writeln!(text, "{level:8} {}: {}", finding.check, finding.text);
        if let Some(repair) = &finding.repair {
            let _ = writeln!(text, "         --repair would {}", repair.plan());
        }
    }
    let problems = diagnosis.findings.iter();
    let problems = problems.filter(|it| it.level == Level::Problem).count();
    let _ = match problems {
        0 => writeln!(text, "verdict: sound"),
        _ => writeln!(text, "verdict: {problems} problems"),
    };
    text
}

fn kind(diagnosis: &Diagnosis) -> &'static str {
    match diagnosis.kind {
        "2015" => "a run of the program of 2015",
        "combined" => "several runs combined",
        _ => "a run of btda",
    }
}
