//! The random numbers of a run, drawn before it starts.

use crate::exit::Exit;

use super::prepare::{Refusal, refuse};

/// What is secret or must differ from run to run.
pub(super) struct RandomBytes {
    pub(super) own_id: [u8; 20],
    pub(super) pseudonym_key: [u8; 20],
    pub(super) key: u32,
}

/// Draws it, or refuses the run.
pub(super) fn random_bytes() -> Result<RandomBytes, Refusal> {
    let mut bytes = RandomBytes {
        own_id: [0; 20],
        pseudonym_key: [0; 20],
        key: 0,
    };
    let mut key = [0; 4];
    getrandom::fill(&mut bytes.own_id)
        .and_then(|()| getrandom::fill(&mut bytes.pseudonym_key))
        .and_then(|()| getrandom::fill(&mut key))
        .map_err(|error| {
            refuse(
                Exit::Failed,
                format!("the system gives no random numbers: {error}"),
            )
        })?;
    bytes.key = u32::from_ne_bytes(key);
    Ok(bytes)
}
