//! Local service discovery in a run: its sockets, and what is told at the end.

use std::sync::Arc;

use crate::analyzer::engine::Engine;
use crate::analyzer::neighbours::Neighbours;
use crate::exit::Exit;
use crate::model::record::Record;

use super::prepare::{Refusal, refuse};

/// Joins the groups when `lsd.enabled` is on.
pub(super) fn prepare(engine: &Arc<Engine>) -> Result<Option<Arc<Neighbours>>, Refusal> {
    if !engine.settings.lsd {
        return Ok(None);
    }
    let joined = Neighbours::join(engine).map_err(|error| {
        refuse(
            Exit::PortUnavailable,
            format!(
                "lsd.enabled is on, but no multicast group can be joined: {error}; \
                 switch it off, or give the machine a network interface with multicast"
            ),
        )
    })?;
    Ok(Some(Arc::new(joined)))
}

/// Its facts for the manifest.
pub(super) fn facts(neighbours: &Neighbours) -> [Record; 4] {
    let counts = neighbours.counts();
    let fact = |key, value: u64| Record::Manifest {
        key,
        value: value.to_string(),
    };
    [
        fact("lsd_received", counts.received),
        fact("lsd_malformed", counts.malformed),
        fact("lsd_held_off", counts.held_off),
        fact("lsd_sent", counts.sent),
    ]
}
