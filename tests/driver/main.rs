//! The driver over a transport in memory and a clock that the tests turn: deadlines, faults, ends.

mod sim;
mod sweep;
