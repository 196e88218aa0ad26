//! Tests of `geo`.
