//! A TCP connection to a host.

use std::io;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::vec::Vec;

use super::clock;
use crate::Error;
use crate::adapter::Deadline;
use crate::handshake::{DialError, Uri};

/// What the caller does with a TCP connection before anything is sent over it.
pub(super) type TcpOptions = dyn Fn(&TcpStream) -> io::Result<()> + Send + Sync;

/// The first address of the host that accepts. Each gets its share of the time that is left: one that never answers does
/// not take it all. (To look the name up takes as long as the system likes.)
pub(super) fn dial(uri: &Uri, deadline: Option<Deadline>) -> Result<TcpStream, Error> {
    let failed = |address, error| DialError::new(uri.authority(), address, error);
    let looked_up = (uri.host(), uri.port()).to_socket_addrs();
    let addresses: Vec<_> = looked_up.map_err(|error| failed(None, error))?.collect();
    let mut last = failed(None, io::Error::new(io::ErrorKind::NotFound, "the host has no address"));
    for (&address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let dialled = match deadline {
            None => TcpStream::connect(address),
            Some(deadline) => {
                let now = clock::now();
                if deadline.at <= now {
                    return Err(deadline.error().into());
                }
                let share = deadline.share(now, left).at.saturating_sub(now);
                TcpStream::connect_timeout(&address, share.max(std::time::Duration::from_millis(1)))
            }
        };
        match dialled {
            Ok(stream) => return Ok(stream),
            Err(error) => last = failed(Some(address), error),
        }
    }
    match deadline {
        Some(deadline) if deadline.at <= clock::now() => Err(deadline.error().into()),
        _ => Err(last.into()),
    }
}
