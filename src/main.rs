//! The command-line program: arguments, configuration, exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use btda::analyzer::runtime;
use btda::cli::{self, ConfigChoice, Request};
use btda::config::{Config, default_file};
use btda::exit::Exit;

fn main() -> ExitCode {
    let exit = match cli::parse(std::env::args_os()) {
        Ok(Request::Run { switches, choice }) => match load(choice) {
            Some(config) => runtime::run(runtime::Request::new(&config, &switches)),
            None => Exit::Configuration,
        },
        Ok(Request::Config(choice)) => match load(choice) {
            Some(config) => show(&config),
            None => Exit::Configuration,
        },
        Ok(Request::DefaultConfig) => print(&default_file()),
        Err(error) => {
            let asked = error.exit_code() == 0;
            match error.print() {
                Ok(()) if asked => Exit::Success,
                Err(_) if asked => Exit::Failed,
                _ => Exit::Usage,
            }
        }
    };
    exit.into()
}

fn load(choice: ConfigChoice) -> Option<Config> {
    Config::load(choice.file.as_deref(), choice.overrides)
        .map_err(|error| complain(&error.to_string()))
        .ok()
}

fn show(config: &Config) -> Exit {
    config
        .warnings()
        .iter()
        .for_each(|warning| complain(warning));
    print(&config.table())
}

fn print(text: &str) -> Exit {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Exit::Success,
        Err(_) => Exit::Failed,
    }
}

/// One `btda: ` line for each line of `text`.
fn complain(text: &str) {
    for line in text.lines() {
        let _ = writeln!(io::stderr(), "btda: {line}");
    }
}
