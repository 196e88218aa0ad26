//! Tests of `database`.
