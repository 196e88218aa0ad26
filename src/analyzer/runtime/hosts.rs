//! Host names in a run: which name servers, and who is asked.

use std::sync::Arc;

use crate::analyzer::engine::Engine;
use crate::config::settings::HostSettings;
use crate::exit::Exit;
use crate::hosts::{Hosts, Surroundings, server};
use crate::net::resolve::Resolver;
use crate::net::udp::SystemUdp;
use crate::storage::AskName;

use super::prepare::{Refusal, refuse};

/// The threads to be and what the writer needs of them; nothing when
/// `hosts.enabled` is off.
pub(super) type Names = (Option<Arc<Hosts>>, Option<Box<dyn AskName>>);

/// Takes the servers of the system where none is configured, for what `key`
/// switches on.
pub(super) fn with_servers(settings: &mut HostSettings, key: &str) -> Result<(), Refusal> {
    if settings.servers.is_empty() {
        let text = std::fs::read_to_string(server::SYSTEM_FILE).unwrap_or_default();
        settings.servers = server::of_system(&text);
    }
    if settings.servers.is_empty() {
        let file = server::SYSTEM_FILE;
        return Err(refuse(
            Exit::Configuration,
            format!("{key} is on, but {file} names no name server: set hosts.servers"),
        ));
    }
    Ok(())
}

/// Reads which servers the system has, where none is configured.
pub(super) fn prepare(engine: &Engine) -> Result<Names, Refusal> {
    let Some(mut settings) = engine.settings.hosts.clone() else {
        return Ok((None, None));
    };
    with_servers(&mut settings, "hosts.enabled")?;
    let around = Surroundings {
        clock: Arc::clone(&engine.clock),
        udp: Arc::new(SystemUdp::new(Resolver::new())),
        records: engine.records.clone(),
        stop: engine.stop.clone(),
    };
    let (hosts, names) = Hosts::new(settings, around);
    Ok((Some(hosts), Some(names)))
}
