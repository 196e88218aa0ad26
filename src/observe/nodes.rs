//! Our DHT nodes: started together, all with one hook.

use std::sync::Arc;

use crate::clock::Clock;
use crate::dht::node::hook::ChannelHook;
use crate::dht::node::{DhtError, DhtHandle, DhtNode, DhtSettings};
use crate::stop::StopToken;

use super::settings::ObserveSettings;

/// Starts the nodes: each with a port of its own from `observe.port` on, a
/// share of the query budget, and a place of its own in the key space.
pub(super) fn start(
    settings: &ObserveSettings,
    clock: &Arc<dyn Clock>,
    stop: &StopToken,
    hook: &Arc<ChannelHook>,
) -> Result<Vec<Arc<DhtHandle>>, DhtError> {
    let count = settings.nodes.max(1);
    let each = (settings.packets_per_second / u32::from(count)).max(1);
    let start = |number: u8| {
        let base = match settings.address {
            Some(address) if settings.allow_private => DhtSettings::loopback(address),
            _ => DhtSettings::default(),
        };
        let wanted = DhtSettings {
            port: match settings.port {
                0 => 0,
                first => first.saturating_add(u16::from(number)),
            },
            address: settings.address.or(base.address),
            address6: settings.address6,
            bootstrap: settings.bootstrap.clone(),
            packets_per_second: each,
            packets_burst: each.saturating_mul(2),
            place: (count > 1).then_some(number),
            ..base
        };
        let hook = Arc::clone(hook);
        DhtNode::start(wanted, Arc::clone(clock), stop, Some(hook)).map(Arc::new)
    };
    (0..count).map(start).collect()
}
