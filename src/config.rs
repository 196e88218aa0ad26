//! Configuration: `config.toml`, environment and command line.

pub mod settings;
