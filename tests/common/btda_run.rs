//! The program under test, as a user starts it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use super::network::Network;
use super::process::{Process, isolated};

/// A running btda.
pub(crate) struct BtdaRun {
    process: Process,
    output: PathBuf,
}

impl BtdaRun {
    /// Starts it in `folder` on the torrents below `input`, with `config` as
    /// its configuration file and `arguments` behind `-ap`.
    pub(crate) fn start(folder: &Path, input: &Path, config: &str, arguments: &[&str]) -> Self {
        Self::start_as("-ap", folder, input, config, arguments)
    }

    /// The same with other switches than `-ap`.
    pub(crate) fn start_as(
        switches: &str,
        folder: &Path,
        input: &Path,
        config: &str,
        arguments: &[&str],
    ) -> Self {
        let arguments = [&[switches], arguments].concat();
        let command = Self::command(folder, input, config, &arguments);
        Self::spawn(command, folder)
    }

    /// The same in another network than that of the test, with the switches
    /// among `arguments`.
    pub(crate) fn start_in(
        network: &Network,
        folder: &Path,
        input: &Path,
        config: &str,
        arguments: &[&str],
    ) -> Self {
        let command = Self::command(folder, input, config, arguments);
        Self::spawn(network.enter(&command), folder)
    }

    fn spawn(command: Command, folder: &Path) -> Self {
        Self {
            process: Process::spawn("btda", command, folder),
            output: output_of(folder),
        }
    }

    fn command(folder: &Path, input: &Path, config: &str, arguments: &[&str]) -> Command {
        let file = folder.join("config.toml");
        fs::write(&file, config).expect("configuration can be written");
        let output = output_of(folder);
        fs::create_dir_all(&output).expect("folder can be made");
        let mut command = isolated(Path::new(env!("CARGO_BIN_EXE_btda")), folder);
        command
            .current_dir(folder)
            .arg("--config")
            .arg(file)
            .arg("--input")
            .arg(input)
            .arg("--output")
            .arg(&output)
            .args(arguments);
        command
    }

    /// Ends it at once, as the kernel does when memory is short: it gets no
    /// chance to do anything.
    pub(crate) fn kill(self) {
        // Dropping the process is killing it.
        drop(self);
    }

    /// What it said on the terminal.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.process.log()).expect("own file")
    }

    /// Its database, as soon as it exists.
    pub(crate) fn database(&self) -> Option<PathBuf> {
        self.files()
            .into_iter()
            .find(|path| path.extension().is_some_and(|end| end == "sqlite"))
    }

    /// The files it has written.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(&self.output).into_iter().flatten().flatten();
        files.map(|file| file.path()).collect()
    }

    /// Fails the test when it has ended.
    pub(crate) fn assert_running(&mut self) {
        self.process.assert_running();
    }

    /// Presses Ctrl+C: how it ended and how long that took; `None` when it
    /// has not ended within `limit`.
    pub(crate) fn interrupt(&mut self, limit: Duration) -> Option<(ExitStatus, Duration)> {
        let began = Instant::now();
        self.process.interrupt();
        let status = self.process.wait(limit)?;
        Some((status, began.elapsed()))
    }
}

fn output_of(folder: &Path) -> PathBuf {
    folder.join("output")
}

/// A failing test shows what it left and its log.
impl Drop for BtdaRun {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for file in self.files() {
            eprintln!("--- left by btda: {}", file.display());
            if file.extension().is_some_and(|end| end == "log") {
                eprintln!("{}", fs::read_to_string(file).unwrap_or_default());
            }
        }
    }
}
