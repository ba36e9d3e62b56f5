//! A proxy's handshake over a transport in memory.

use std::time::Duration;

use bowsprit::dial::{Proxy, Tunnel};
use bowsprit::driver::{Drive as _, Step};
use bowsprit::handshake::Uri;

use crate::cuts::Cuts;

/// A server, and the proxy of this address.
///
/// # Panics
///
/// Where that is none.
pub fn peers(proxy: &str) -> (Uri, Proxy) {
    ("ws://example.com/chat".parse().expect("it is a URI"), proxy.parse().expect("it is a proxy"))
}

/// Reads `wire` in these cuts, then the end of the stream if it `ends`. Returns the step at which it pauses then, and how
/// much was not read.
///
/// # Panics
///
/// Where the machine does not come to a pause.
pub fn drive(tunnel: &mut Tunnel, wire: &[u8], cuts: Cuts, ends: bool) -> (Step, usize) {
    let mut pieces = cuts.ends(wire.len()).into_iter();
    let (mut start, mut end) = (0, 0);
    for _ in 0..10 * wire.len() + 100 {
        match tunnel.poll(|| Duration::ZERO) {
            Step::Read => {
                if start == end {
                    end = pieces.next().unwrap_or(end);
                }
                let buffer = tunnel.read_buffer();
                let n = buffer.len().min(end - start);
                buffer[..n].copy_from_slice(&wire[start..start + n]);
                start += n;
                if n > 0 || ends {
                    tunnel.received(n);
                } else {
                    tunnel.read_blocked();
                }
            }
            Step::Write => tunnel.written(tunnel.to_write().len()),
            Step::Flush => tunnel.flushed(),
            Step::ShutdownWrite => tunnel.write_shut_down(),
            step => return (step, wire.len() - start),
        }
    }
    panic!("it spins");
}
