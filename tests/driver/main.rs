//! The driver over a transport in memory and a clock that the tests turn: deadlines, faults, ends.

mod deadlines;
#[path = "../requirements/heap.rs"]
mod heap;
mod sim;
mod sweep;
