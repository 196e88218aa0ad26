//! `btda serve`: its options. Pure, as all of `cli`.

use std::path::PathBuf;

use clap::Args;

use super::{ConfigChoice, Request, assignment, value_of};
use crate::config::{Override, Value, keys};

/// Options of `btda serve`.
#[derive(Debug, Args)]
#[expect(
    clippy::doc_markdown,
    reason = "these comments are printed as the help"
)]
pub(super) struct ServeArguments {
    /// The database of a run, of btda or of 2015, or the folder of an observatory, to look into
    #[arg(value_name = "RUN.sqlite|FOLDER")]
    database: Option<PathBuf>,
    /// Where the page is served [default: 127.0.0.1:5000] (web.address)
    #[arg(long, value_name = "ADDRESS", value_parser = value_of(&keys::WEB_ADDRESS))]
    web: Option<Value>,
    /// Configuration file [default: config.toml of the working directory, where it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Any other key, as --set web.token_file=token.txt; repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = assignment)]
    set: Vec<Override>,
}

impl ServeArguments {
    pub(super) fn request(self) -> Result<Request, clap::Error> {
        let named = [("--web", &keys::WEB_ADDRESS, self.web)];
        Ok(Request::Serve {
            database: self.database,
            choice: ConfigChoice::of(self.config, named, self.set)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn parsed(line: &str) -> Result<ConfigChoice, clap::Error> {
        match parse(format!("btda serve {line}").split_whitespace())? {
            Request::Serve { choice, .. } => Ok(choice),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_address_is_a_key() {
        assert_eq!(parsed("").unwrap(), ConfigChoice::default());
        let Ok(Request::Serve { database, .. }) = parse(["btda", "serve", "a.sqlite"]) else {
            panic!("the page was asked for");
        };
        assert_eq!(database, Some("a.sqlite".into()));
        let choice = parsed("--web [::1]:0 --config c --set web.connections_max=9").unwrap();
        assert_eq!(choice.file, Some("c".into()));
        let shown: Vec<_> = choice.overrides.iter().map(|over| over.key.name).collect();
        assert_eq!(shown, ["web.address", "web.connections_max"]);
        for (line, part) in [
            ("--web 5000", "an IP address with its port"),
            ("--web localhost:5000", "an IP address with its port"),
            (
                "--web 127.0.0.1:1 --set web.address=127.0.0.1:2",
                "given twice",
            ),
        ] {
            let error = parsed(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
            assert!(error.to_string().contains(part), "{line}: {error}");
        }
    }
}
