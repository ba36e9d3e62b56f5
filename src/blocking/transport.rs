//! What the adapter asks of a socket beyond `Read` and `Write`.

use std::io::{self, IoSlice, Read, Write};
use std::time::Duration;

/// A stream that can be written without waiting and waited for with a limit.
///
/// `TcpStream` and `UnixStream` can (on Unix). For everything else there is [`Plain`].
pub trait Transport: Read + Write {
    /// Writes what the transport takes at once of `parts`, one behind the other. A transport that buffers hands them
    /// on when it is flushed, which happens before each wait and each read.
    ///
    /// What it did not take comes again, with the same bytes in front: a transport may have begun with them.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when it takes nothing now; else the transport has failed.
    fn try_write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Waits until there is something to read (the end counts), or room to write if `write`, for at most `timeout`.
    /// May return early with neither.
    ///
    /// # Errors
    ///
    /// When the transport cannot be waited for; `WouldBlock` when that is so for this interest alone.
    fn wait(&mut self, interest: Interest, timeout: Option<Duration>) -> io::Result<Ready>;

    /// How long a read waits by the stream's own setting: `None` for ever, zero where it is non-blocking.
    /// [`next`](super::WebSocket::next) waits no longer than that, then gives `WouldBlock`.
    ///
    /// # Errors
    ///
    /// When the transport cannot be asked.
    fn read_patience(&self) -> io::Result<Option<Duration>> {
        Ok(None)
    }

    /// Ends the writing side: the peer reads the end, and may still send.
    ///
    /// # Errors
    ///
    /// `Unsupported` where only dropping the stream does that; `WouldBlock` when it has to be called again once there is
    /// room to write; else the transport has failed.
    fn shutdown_write(&mut self) -> io::Result<()>;

    /// Ends both sides, so that a thread that waits for another handle of the same stream returns: called when one half of
    /// a connection has ended it. By default, only the writing side is ended.
    ///
    /// # Errors
    ///
    /// When the transport has failed, or ended already.
    fn shutdown_both(&mut self) -> io::Result<()> {
        self.shutdown_write()
    }

    /// Turns off what delays small writes. Called once, before the opening handshake.
    ///
    /// # Errors
    ///
    /// When the transport has failed.
    fn set_nodelay(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A transport of which a second handle can be had, to read and to write at the same time.
pub trait Duplicate: Transport + Sized {
    /// Another handle to the same stream.
    ///
    /// # Errors
    ///
    /// When the system has none to give.
    fn duplicate(&self) -> io::Result<Self>;
}

/// What to wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interest {
    /// For something to read.
    pub read: bool,
    /// For room to write.
    pub write: bool,
}

/// What came of waiting; nothing when the time was up.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Ready {
    /// A read returns at once.
    pub read: bool,
    /// A write takes something, or fails, at once.
    pub write: bool,
}

/// Any `Read + Write` as a transport: it has no deadlines, cannot be split, and every write may block.
///
/// ```
/// use bowsprit::blocking::{Plain, receive_request};
/// use std::io::{self, Read, Write};
///
/// /// A client that has sent its request, and reads nothing.
/// struct Script(&'static [u8]);
///
/// impl Read for Script {
///     fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
///         self.0.read(buffer)
///     }
/// }
///
/// impl Write for Script {
///     fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
///         Ok(bytes.len())
///     }
///
///     fn flush(&mut self) -> io::Result<()> {
///         Ok(())
///     }
/// }
///
/// let stream = Plain(Script(b"GET /page HTTP/1.1\r\nHost: example.com\r\n\r\n"));
/// let incoming = receive_request(stream, bowsprit::Config::default().into())?;
/// assert_eq!(incoming.request().path(), "/page");
/// # Ok::<(), bowsprit::Error>(())
/// ```
///
/// Two peers that both write more than the stream holds, and read only afterwards, block each other here.
/// Dropping the stream is what ends its writing side.
///
/// A stream that gives `WouldBlock` or `TimedOut` hands that error out, and nothing is lost: read on with the next call,
/// write on with [`flush`](super::WebSocket::flush) (after a `send` the message is queued, never send it twice). The
/// opening handshake cannot go on like this, and [`close`](super::WebSocket::close) asks a non-blocking stream without
/// a rest.
#[derive(Debug)]
pub struct Plain<S>(pub S);

impl<S: Read> Read for Plain<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<S: Write> Write for Plain<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<S: Read + Write> Transport for Plain<S> {
    fn try_write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(parts)
    }

    fn wait(&mut self, Interest { read, .. }: Interest, _: Option<Duration>) -> io::Result<Ready> {
        // A read waits by itself. The stream cannot be asked whether it accepts output.
        if read { Ok(Ready { read, write: false }) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.0.flush()?;
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(unix)]
mod unix {
    use std::io::{self, IoSlice};
    use std::net::{Shutdown, TcpStream};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, Timespec};
    use rustix::net::{SendAncillaryBuffer, SendFlags};

    use super::{Duplicate, Interest, Ready, Transport};

    impl Transport for TcpStream {
        fn try_write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
            try_write(self, parts)
        }

        fn wait(&mut self, interest: Interest, timeout: Option<Duration>) -> io::Result<Ready> {
            wait(self, interest, timeout)
        }

        fn read_patience(&self) -> io::Result<Option<Duration>> {
            if is_non_blocking(self)? { Ok(Some(Duration::ZERO)) } else { self.read_timeout() }
        }

        fn shutdown_write(&mut self) -> io::Result<()> {
            self.shutdown(Shutdown::Write)
        }

        fn shutdown_both(&mut self) -> io::Result<()> {
            self.shutdown(Shutdown::Both)
        }

        fn set_nodelay(&mut self) -> io::Result<()> {
            Self::set_nodelay(self, true)
        }
    }

    impl Transport for UnixStream {
        fn try_write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
            try_write(self, parts)
        }

        fn wait(&mut self, interest: Interest, timeout: Option<Duration>) -> io::Result<Ready> {
            wait(self, interest, timeout)
        }

        fn read_patience(&self) -> io::Result<Option<Duration>> {
            if is_non_blocking(self)? { Ok(Some(Duration::ZERO)) } else { self.read_timeout() }
        }

        fn shutdown_write(&mut self) -> io::Result<()> {
            self.shutdown(Shutdown::Write)
        }

        fn shutdown_both(&mut self) -> io::Result<()> {
            self.shutdown(Shutdown::Both)
        }
    }

    impl Duplicate for TcpStream {
        fn duplicate(&self) -> io::Result<Self> {
            self.try_clone()
        }
    }

    impl Duplicate for UnixStream {
        fn duplicate(&self) -> io::Result<Self> {
            self.try_clone()
        }
    }

    // Apple's sockets have no such flag; std sets the option SO_NOSIGPIPE there instead.
    #[cfg(target_vendor = "apple")]
    const FLAGS: SendFlags = SendFlags::DONTWAIT;
    #[cfg(not(target_vendor = "apple"))]
    const FLAGS: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

    fn is_non_blocking(socket: &impl AsFd) -> io::Result<bool> {
        Ok(rustix::fs::fcntl_getfl(socket)?.contains(rustix::fs::OFlags::NONBLOCK))
    }

    fn try_write(socket: &impl AsFd, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        loop {
            let written = match parts {
                // The shorter system call where it will do.
                [part] => rustix::net::send(socket, part, FLAGS),
                parts => rustix::net::sendmsg(socket, parts, &mut SendAncillaryBuffer::default(), FLAGS),
            };
            match written {
                Err(rustix::io::Errno::INTR) => {}
                written => return Ok(written?),
            }
        }
    }

    fn wait(socket: &impl AsFd, interest: Interest, timeout: Option<Duration>) -> io::Result<Ready> {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, interest.read);
        flags.set(PollFlags::OUT, interest.write);
        let mut polled = [PollFd::new(socket, flags)];
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        match rustix::event::poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let events = polled[0].revents();
        let failed = events.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL);
        Ok(Ready {
            read: interest.read && (failed || events.contains(PollFlags::IN)),
            write: interest.write && (failed || events.contains(PollFlags::OUT)),
        })
    }
}
