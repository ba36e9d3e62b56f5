//! What the fuzz targets share.
//!
//! | Module | |
//! |---|---|
//! | [`cuts`] | where the fuzzer cuts an input |
//! | [`head`] | heads of HTTP/1.1 |
//! | [`heard`] | what a receiver was told, comparable however it was delivered |
//! | [`reference`] | the receiving rules once more, naive, over whole inputs |
//! | [`tunnel`] | a proxy's handshake over a transport in memory |

pub mod cuts;
pub mod head;
pub mod heard;
pub mod reference;
pub mod tunnel;
