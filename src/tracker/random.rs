//! Random numbers, injected so that tests know them.

use super::TrackerError;

/// Source of random numbers.
pub trait Random: Send + Sync {
    /// 32 bits nobody can foresee: a UDP tracker's answer is told from a
    /// forged one only by the transaction id (BEP 15).
    fn next(&self) -> Result<u32, TrackerError>;
}

/// The system's random numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn next(&self) -> Result<u32, TrackerError> {
        getrandom::u32().map_err(|_| TrackerError::NoRandom)
    }
}
