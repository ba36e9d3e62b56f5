//! The end of a transport over which no connection was opened.

use std::io::{ErrorKind, IoSlice};
use std::time::Duration;

use super::clock;
use super::transport::{Interest, Transport};
use crate::adapter::buffers::Input;

/// Writes `output`, shuts the writing side down, then reads and discards until the peer ends the stream, or until
/// `deadline`. Closing at once would send a reset for input that nobody read, and with it destroy what is still
/// on its way to the peer. Whether all of `output` was written.
pub(super) fn linger<S: Transport>(socket: &mut S, mut output: &[u8], deadline: Option<Duration>) -> bool {
    let mut input = Input::default();
    let (mut shut, mut peer_ended) = (false, false);
    loop {
        while !output.is_empty() {
            match socket.try_write(&[IoSlice::new(output)]) {
                Ok(n) if n > 0 => output = &output[n..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => return false,
            }
        }
        if output.is_empty() && !shut {
            match socket.shutdown_write() {
                Ok(()) => shut = true,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(_) => return true,
            }
        }
        if shut && peer_ended {
            return true;
        }
        let timeout = deadline.map(|deadline| deadline.saturating_sub(clock::now()));
        if timeout == Some(Duration::ZERO) {
            return output.is_empty();
        }
        let interest = Interest { read: !peer_ended, write: !shut };
        match socket.wait(interest, timeout) {
            Ok(ready) if ready.read => match socket.read(input.room()) {
                Ok(n) if n > 0 => {}
                // It may have ended its writing side alone, and still read.
                Ok(_) => peer_ended = true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return output.is_empty(),
            },
            Ok(_) => {}
            Err(_) => return output.is_empty(),
        }
    }
}
