//! A TCP connection to a host.

use std::io;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;
use std::vec::Vec;

use super::clock;
use crate::adapter::Deadline;
use crate::proto::error::Error;

/// What the caller does with a TCP connection before anything is sent over it.
pub(super) type TcpOptions = dyn Fn(&TcpStream) -> io::Result<()> + Send + Sync;

/// The first address of the host that answers. Each gets its share of the time that is left: one that never answers
/// does not take it all. (To look the name up takes as long as the system likes.)
pub(super) fn dial(host: &str, port: u16, deadline: Option<Deadline>) -> Result<TcpStream, Error> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    let addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
    for (address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let dialled = match deadline {
            None => TcpStream::connect(address),
            Some(deadline) => {
                let now = clock::now();
                if deadline.at <= now {
                    return Err(deadline.error().into());
                }
                let share = deadline.share(now, left).at.saturating_sub(now);
                TcpStream::connect_timeout(address, share.max(Duration::from_millis(1)))
            }
        };
        match dialled {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    match deadline {
        Some(deadline) if deadline.at <= clock::now() => Err(deadline.error().into()),
        _ => Err(last.into()),
    }
}
