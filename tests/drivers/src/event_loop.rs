//! Which connection is next.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bowsprit::driver::{Accepting, Connecting, SendHalf};
use bowsprit::handshake::ClientRequest;
use bowsprit::{Config, Error, Message, SendError};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use crate::connection::{Connection, Stage, random};
use crate::drive::Pause;
use crate::pool::Pool;

/// What happens on connections. A connection is named by its key, which is used again after it has closed.
pub trait Application {
    /// The connection is open.
    fn opened(&mut self, _key: usize, _send: &mut SendHalf<Pool>) {}

    /// A message has arrived.
    ///
    /// # Errors
    ///
    /// After [`SendError::Full`], this is called with the same message again once the queue has capacity. Other errors
    /// change nothing.
    fn received(&mut self, key: usize, message: Message<'_>, send: &mut SendHalf<Pool>) -> Result<(), SendError>;

    /// The connection has ended, or did not open; `Ok` after a Close of each side.
    fn closed(&mut self, _key: usize, _result: Result<(), Error>) {}
}

/// Any number of connections, on one thread.
pub struct EventLoop {
    poll: Poll,
    events: Events,
    connections: Slab<Connection>,
    listener: Option<TcpListener>,
    /// Whether the listener may have connections to accept.
    acceptable: bool,
    /// When connections are to be driven at the latest.
    deadlines: BTreeSet<(Duration, usize)>,
    /// Connections that have something to do without an event.
    pending: Vec<usize>,
    config: Arc<Config>,
    start: Instant,
}

impl EventLoop {
    /// # Errors
    ///
    /// When the operating system has no event queue left.
    pub fn new(config: Arc<Config>) -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(256),
            connections: Slab::new(),
            listener: None,
            acceptable: false,
            deadlines: BTreeSet::new(),
            pending: Vec::new(),
            config,
            start: Instant::now(),
        })
    }

    /// Accepts connections at `address`; returns the address with its port.
    ///
    /// # Errors
    ///
    /// When it cannot listen there.
    pub fn listen(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        let mut listener = TcpListener::bind(address)?;
        self.poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let address = listener.local_addr()?;
        self.listener = Some(listener);
        Ok(address)
    }

    /// Opens a connection to a server at `address`; its key.
    ///
    /// # Errors
    ///
    /// When there is no socket left. That nobody answers is reported to [`Application::closed`].
    pub fn connect(&mut self, address: SocketAddr, request: &ClientRequest) -> Result<usize, Error> {
        let machine = Connecting::new(request, random()?, self.config.clone(), self.start.elapsed());
        Ok(self.add(TcpStream::connect(address)?, Stage::Connecting(Box::new(machine)))?)
    }

    /// The connections that are open, or being opened or closed.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Waits until something happens, at most for `max_wait`, and does what is due.
    ///
    /// # Errors
    ///
    /// When waiting fails. What fails on a connection is reported to [`Application::closed`].
    pub fn turn(&mut self, application: &mut impl Application, max_wait: Duration) -> io::Result<()> {
        let next = self.deadlines.first().map_or(max_wait, |(at, _)| at.saturating_sub(self.start.elapsed()));
        let wait = if self.pending.is_empty() { next.min(max_wait) } else { Duration::ZERO };
        match self.poll.poll(&mut self.events, Some(wait.min(MAX_WAIT))) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        let mut due = std::mem::take(&mut self.pending);
        due.extend(self.events.iter().map(|event| event.token().0));
        let now = self.start.elapsed();
        due.extend(self.deadlines.iter().take_while(|(at, _)| *at <= now).map(|(_, key)| *key));
        for key in due {
            if Token(key) == LISTENER {
                self.acceptable = true;
            } else {
                self.drive(key, application);
            }
        }
        if self.acceptable {
            self.accept();
        }
        Ok(())
    }

    /// Gives a connection its turn. To call it for one that has nothing to do, or is gone, is harmless.
    fn drive(&mut self, key: usize, application: &mut impl Application) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let start = self.start;
        let pause = connection.turn(key, application, &|| start.elapsed());
        let until = if let Pause::Wait(until) = pause { until } else { None };
        if until != connection.until {
            self.deadlines.extend(until.map(|until| (until, key)));
            if let Some(until) = std::mem::replace(&mut connection.until, until) {
                self.deadlines.remove(&(until, key));
            }
        }
        match pause {
            Pause::Yield => self.pending.push(key),
            Pause::Closed => application.closed(key, self.connections.remove(key).result()),
            Pause::Ready | Pause::Wait(_) => {}
        }
    }

    fn accept(&mut self) {
        while let Some(listener) = &self.listener {
            match listener.accept() {
                Ok((socket, _)) => {
                    let machine = Accepting::new(self.config.clone(), self.start.elapsed());
                    // Without it the client meets the end of the stream.
                    let _ = self.add(socket, Stage::Reading(Box::new(machine)));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    // Out of file descriptors: it is tried again in each turn.
                    self.acceptable = error.kind() != ErrorKind::WouldBlock;
                    return;
                }
            }
        }
    }

    fn add(&mut self, mut socket: TcpStream, stage: Stage) -> io::Result<usize> {
        let entry = self.connections.vacant_entry();
        let key = entry.key();
        // A connection waits for both, so that it need not be registered again.
        self.poll.registry().register(&mut socket, Token(key), Interest::READABLE | Interest::WRITABLE)?;
        socket.set_nodelay(true)?;
        entry.insert(Connection::new(socket, stage));
        self.pending.push(key);
        Ok(key)
    }
}

/// What every operating system can wait for.
const MAX_WAIT: Duration = Duration::from_secs(60 * 60);

const LISTENER: Token = Token(usize::MAX);
