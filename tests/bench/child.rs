//! This program once more, as the other side of a measure, so that neither
//! its descriptors nor its memory count here.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A child that ends when it is dropped.
pub(crate) struct Other {
    process: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Other {
    /// Starts this program with `arguments`.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let program = std::env::current_exe().expect("the program knows itself");
        let mut process = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        Self {
            orders: process.stdin.take(),
            answers: BufReader::new(process.stdout.take().expect("piped")),
            process,
        }
    }

    /// The next line that it says.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the child talks");
        line.trim_end_matches('\n').to_owned()
    }

    /// Its answer to an order.
    pub(crate) fn ask(&mut self, order: &str) -> String {
        let orders = self.orders.as_mut().expect("open until dropped");
        writeln!(orders, "{order}").expect("the child listens");
        self.line()
    }
}

impl Other {
    /// Waits for its end; tells whether it was a good one.
    pub(crate) fn ended_well(&mut self) -> bool {
        drop(self.orders.take());
        self.process.wait().is_ok_and(|status| status.success())
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.process.wait();
    }
}
