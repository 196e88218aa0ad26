//! Exit codes; stable, so that scripts can rely on them.

use std::process::ExitCode;

/// How the program ended. The numbers do not change from version to version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// 0: everything went well, also when the run was stopped by a signal.
    Success = 0,
    /// 1: failed while running.
    Failed = 1,
    /// 2: the command line makes no sense.
    Usage = 2,
    /// 3: the configuration file or the environment is wrong.
    Configuration = 3,
    /// 4: no torrent could be imported.
    NothingToImport = 4,
    /// 5: the output folder or a file in it cannot be written.
    OutputNotWritable = 5,
    /// 6: the run came to its end, but data was lost or a thread died; the
    /// log has a line with CRITICAL.
    DataLost = 6,
    /// 7: a port that the run needs is taken or not allowed; nothing was
    /// measured.
    PortUnavailable = 7,
    /// 130: a second signal forced the end; the last records may be missing.
    Interrupted = 130,
}

impl Exit {
    /// The number that the system gets.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
