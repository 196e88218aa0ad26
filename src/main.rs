//! The command-line program: arguments, configuration, exit code.

use std::process::ExitCode;

use btda::analyzer::runtime::{self, serve};
use btda::cli::{self, ConfigChoice, Request};
use btda::config::{Config, default_file};
use btda::exit::Exit;
use btda::lab::trial;
use btda::observe::{command as observe, search_command as search};
use btda::report;
use btda::results::{combine, doctor, export};
use btda::terminal::{complain, print};

fn main() -> ExitCode {
    let exit = match cli::parse(std::env::args_os()) {
        Ok(Request::Run { switches, choice }) => with(choice, |config| {
            runtime::run(runtime::Request::new(config, &switches))
        }),
        Ok(Request::Config(choice)) => with(choice, |config| {
            complain(&config.warnings().join("\n"));
            print(&config.table())
        }),
        Ok(Request::DefaultConfig) => print(&default_file()),
        Ok(Request::Lab(options)) => trial::run(&options),
        Ok(Request::Report(options)) => report::run(&options),
        Ok(Request::Doctor(options)) => doctor::run(&options),
        Ok(Request::Combine(options)) => combine::run(&options),
        Ok(Request::Export(options)) => export::run(&options),
        Ok(Request::Serve { database, choice }) => {
            with(choice, |config| serve::run(config, database))
        }
        Ok(Request::Observe(task, choice)) => with(choice, |it| observe::run(it, &task)),
        Ok(Request::Search(task, choice)) => with(choice, |it| search::run(it, &task)),
        Err(error) => match (error.print(), error.exit_code()) {
            (Ok(()), 0) => Exit::Success,
            (Err(_), 0) => Exit::Failed,
            _ => Exit::Usage,
        },
    };
    exit.into()
}

fn with(choice: ConfigChoice, job: impl FnOnce(&Config) -> Exit) -> Exit {
    match Config::load(choice.file.as_deref(), choice.overrides) {
        Ok(config) => job(&config),
        Err(error) => {
            complain(&error.to_string());
            Exit::Configuration
        }
    }
}
