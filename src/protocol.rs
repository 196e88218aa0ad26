//! The peer wire protocol and bencoding, sans-IO: bytes in, values out.
//!
//! Nothing here knows sockets, clocks or threads. A decoder answers one of
//! three: more bytes are needed, here is a value, or the bytes are malformed.

pub mod bencode;
pub mod extension;
pub mod frame;
pub mod handshake;
pub mod lsd;
pub mod message;
pub mod metadata;
pub mod mse;
pub mod pex;
pub mod tex;
pub mod utp;
