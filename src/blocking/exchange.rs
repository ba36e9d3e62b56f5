//! What both opening handshakes do with a stream, until the deadline.

use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};

use super::clock;
use super::transport::{Interest, Transport};
use crate::adapter::{Deadline, not_opened};
use crate::proto::error::{Error, HandshakeError};

/// Writes `output`, then reads into `input` until `step` makes something of it.
pub(super) fn exchange<S: Transport, T>(
    socket: &mut S,
    input: &mut BytesMut,
    output: &mut BytesMut,
    deadline: Option<Deadline>,
    mut step: impl FnMut(&mut BytesMut) -> Result<Option<T>, HandshakeError>,
) -> Result<T, Error> {
    write(socket, output, deadline)?;
    loop {
        if let Some(done) = step(input)? {
            return Ok(done);
        }
        if !wait(socket, Interest { read: true, write: false }, deadline)? {
            continue;
        }
        let mut buffer = [0; 4 << 10];
        match socket.read(&mut buffer) {
            Ok(0) => {
                let what = "the peer ended before the opening handshake was complete";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what).into());
            }
            Ok(n) => input.extend_from_slice(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(not_opened(error)),
        }
    }
}

pub(super) fn write<S: Transport>(
    socket: &mut S,
    output: &mut BytesMut,
    deadline: Option<Deadline>,
) -> Result<(), Error> {
    while !output.is_empty() {
        match socket.try_write(&[io::IoSlice::new(output)]) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
            Ok(n) => output.advance(n),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                wait(socket, Interest { read: false, write: true }, deadline)?;
            }
            Err(error) => return Err(not_opened(error)),
        }
    }
    // A stream may buffer what it took.
    socket.flush().map_err(not_opened)
}

/// Whether there is something to read; `TimedOut` once the deadline is over.
fn wait<S: Transport>(socket: &mut S, interest: Interest, deadline: Option<Deadline>) -> Result<bool, Error> {
    let timeout = match deadline {
        None => None,
        Some(deadline) => match deadline.at.saturating_sub(clock::now()) {
            Duration::ZERO => return Err(deadline.error().into()),
            left => Some(left),
        },
    };
    Ok(socket.wait(interest, timeout).map_err(not_opened)?.read)
}
