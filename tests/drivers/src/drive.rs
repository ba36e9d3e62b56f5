//! The loop of the adapter.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::time::Duration;

use bowsprit::driver::{Drive, Step};
use mio::net::TcpStream;

/// Why [`drive`] has returned.
pub(crate) enum Pause {
    /// The machine has something for the application.
    Ready,
    /// The socket can do nothing now. Drive again after its next event, or at this time.
    Wait(Option<Duration>),
    /// There is more to read, but other connections are to have their turn.
    Yield,
    /// The machine is done with the socket.
    Closed,
}

/// Does what `machine` says, without ever waiting. `reads` is how often it may still read in this turn.
pub(crate) fn drive(
    machine: &mut impl Drive,
    mut socket: &TcpStream,
    reads: &mut u32,
    clock: &impl Fn() -> Duration,
) -> Pause {
    loop {
        match machine.poll(clock) {
            Step::Ready => return Pause::Ready,
            Step::Wait { until, .. } => return Pause::Wait(until),
            Step::Closed => return Pause::Closed,
            Step::Read if *reads == 0 => return Pause::Yield,
            Step::Read => {
                *reads -= 1;
                match socket.read(machine.read_buffer()) {
                    Ok(n) => machine.received(n),
                    Err(error) if is_blocked(&error) => machine.read_blocked(),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => machine.read_failed((&error).into()),
                }
            }
            Step::Write => match socket.write(machine.to_write()) {
                Ok(n) => machine.written(n),
                Err(error) if is_blocked(&error) => machine.write_blocked(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => machine.write_failed((&error).into()),
            },
            // A TCP socket hands on at once what it accepts.
            Step::Flush => machine.flushed(),
            Step::ShutdownWrite => match socket.shutdown(Shutdown::Write) {
                Ok(()) => machine.write_shut_down(),
                Err(error) => machine.write_failed((&error).into()),
            },
        }
    }
}

/// Whether the socket can do nothing now. `NotConnected`: it is still being connected.
fn is_blocked(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected)
}
