//! The analyzer of a trial: this very program as a process of its own.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use sysinfo::{Pid, ProcessesToUpdate, Signal, System};

use super::TrialOptions;
use super::dht::DhtPlaces;
use crate::clock::Clock;
use crate::deadline::Deadline;

/// For the analyzer to listen.
const START: Duration = Duration::from_secs(60);

/// For the analyzer to end: longer than all its own deadlines together.
const END: Duration = Duration::from_secs(180);

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// A running or ended analyzer; killed when dropped.
pub(super) struct Analyzer {
    child: Child,
    folder: PathBuf,
    status: Option<ExitStatus>,
    interrupted: bool,
}

impl Analyzer {
    /// Starts `btda -ap` (with a DHT `-apd`) with input and output in `folder`, in a process
    /// group of its own, so that Ctrl+C does not reach it before the lab
    /// knows.
    pub(super) fn start(
        folder: &Path,
        options: &TrialOptions,
        dht: Option<&DhtPlaces>,
    ) -> io::Result<Self> {
        let config = folder.join("config.toml");
        fs::write(&config, options.configuration(dht))?;
        let said = File::create(folder.join("analyzer.out"))?;
        let mut command = Command::new(std::env::current_exe()?);
        // Settings of the person at the keyboard are not part of the trial.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("BTDA_") {
                command.env_remove(name);
            }
        }
        let child = command
            .arg(if dht.is_some() { "-apd" } else { "-ap" })
            .arg("--config")
            .arg(config)
            .arg("--input")
            .arg(folder.join("input"))
            .arg("--output")
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said)
            .process_group(0)
            .spawn()?;
        Ok(Self {
            child,
            folder: folder.to_owned(),
            status: None,
            interrupted: false,
        })
    }

    /// Until when it must listen.
    pub(super) fn start_deadline(clock: &dyn Clock) -> Deadline {
        Deadline::after(clock.now(), START)
    }

    /// Where it listens, once its manifest says so.
    pub(super) fn listen_port(&self) -> Option<u16> {
        let manifest = self.file("_run.json")?;
        let facts: Value = serde_json::from_slice(&fs::read(manifest).ok()?).ok()?;
        facts["listen_port"].as_str()?.parse().ok()
    }

    /// Whether it has ended by now.
    pub(super) fn has_ended(&mut self) -> io::Result<bool> {
        if self.status.is_none() {
            self.status = self.child.try_wait()?;
        }
        Ok(self.status.is_some())
    }

    /// Why it never listened.
    pub(super) fn refusal(&self) -> io::Error {
        let said = self.folder.join("analyzer.out");
        let text = fs::read_to_string(&said).unwrap_or_default();
        let last = text.lines().last().unwrap_or("nothing");
        let how = self
            .status
            .map_or("it goes on".to_owned(), |it| it.to_string());
        io::Error::other(format!(
            "the analyzer does not measure ({how}); its last line in {}: {last}",
            said.display()
        ))
    }

    /// Presses Ctrl+C.
    pub(super) fn interrupt(&mut self) -> io::Result<()> {
        if self.status.is_some() {
            return Ok(());
        }
        let pid = Pid::from_u32(self.child.id());
        let mut system = System::new().map_err(io::Error::other)?;
        system.refresh_processes(ProcessesToUpdate::Some(&[pid]), false);
        let sent = system
            .process(pid)
            .and_then(|process| process.kill_with(Signal::Interrupt));
        self.interrupted = sent == Some(true);
        // Otherwise it has just ended by itself, which is looked at later.
        Ok(())
    }

    /// Waits for its end.
    pub(super) fn wait(&mut self, clock: &dyn Clock) -> io::Result<()> {
        let deadline = Deadline::after(clock.now(), END);
        while !self.has_ended()? {
            if deadline.left(clock.now()).is_none() {
                return Err(io::Error::other(format!(
                    "the analyzer does not end within {} s",
                    END.as_secs()
                )));
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// The database that it wrote.
    pub(super) fn database(&self) -> io::Result<PathBuf> {
        self.file(".sqlite").ok_or_else(|| self.refusal())
    }

    /// What was wrong with its end.
    pub(super) fn problem(&self) -> Option<String> {
        match self.status {
            Some(status) if !self.interrupted => {
                Some(format!("the analyzer ended by itself: {status}"))
            }
            Some(status) if status.success() => None,
            Some(status) => Some(format!("the analyzer ended with {status}")),
            None => Some("the analyzer did not end".to_owned()),
        }
    }

    fn file(&self, suffix: &str) -> Option<PathBuf> {
        let files = fs::read_dir(&self.folder).ok()?.flatten();
        let mut paths = files.map(|file| file.path());
        paths.find(|path| path.to_string_lossy().ends_with(suffix))
    }
}

impl Drop for Analyzer {
    fn drop(&mut self) {
        if self.status.is_none() {
            // An error means that it has ended.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
