//! A panic in each kind of thread of the real binary.
