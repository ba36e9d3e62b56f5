//! A client's opening handshake.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::time::Duration;

use bytes::BytesMut;

use super::Driver;
use super::buffers::Buffers;
use super::clock::Clock;
use super::opening::{Exchange, OpeningError, report_to_exchange};
use super::refusal::Refusal;
use super::step::{Drive, Step, TransportError};
use crate::proto::config::Config;
use crate::proto::connection::Connection;
use crate::proto::error::HandshakeError;
use crate::proto::handshake::{ClientHandshake, ClientRequest, ClientResponse};
use crate::proto::message::Delivery;
use crate::proto::timers::Timeout;

/// A client's opening handshake: writes the request, and reads the response.
///
/// [`Step::Ready`] means that the server agreed: [`into_driver`](Self::into_driver) opens the connection.
/// [`Step::Closed`] means that it did not; [`result`](Self::result) says why. Of a refusal, the body is read for up to one
/// second, up to 64 KiB: it may never end.
#[derive(Debug)]
pub struct Connecting {
    exchange: Exchange,
    config: Arc<Config>,
    handshake: ClientHandshake,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// The request is being written, the response being read.
    Asking,
    Open(Box<ClientResponse>),
    /// The body of a refusal is being read.
    Refused(Refusal),
    Closed(OpeningError),
}

impl Connecting {
    /// Sends `request`; [`Config::handshake_timeout`] starts at `now`. `nonce` is 16 bytes from a random source, fresh for
    /// each attempt (RFC 6455 section 4.1).
    #[must_use]
    pub fn new(request: &ClientRequest, nonce: [u8; 16], config: Arc<Config>, now: Duration) -> Self {
        let mut output = BytesMut::new();
        let handshake = ClientHandshake::start(request, nonce, config.clone(), now, &mut output);
        Self { exchange: Exchange::new(output), config, handshake, phase: Phase::Asking }
    }

    /// The open connection, after [`Step::Ready`], with what arrived behind the response. `seed` is 32 bytes of the
    /// operating system's entropy for the masking keys (RFC 6455 section 5.3), never used twice.
    ///
    /// # Panics
    ///
    /// Where the server has not agreed.
    #[must_use]
    pub fn into_driver<D: Delivery, B: Buffers + Clone>(
        self,
        delivery: D,
        seed: [u8; 32],
        buffers: B,
    ) -> (Driver<D, B>, ClientResponse) {
        let Phase::Open(response) = self.phase else { panic!("the server has not agreed") };
        let connection = Connection::client(delivery, self.config, seed).with_extensions(response.extensions());
        let Exchange { input, output, .. } = self.exchange;
        (Driver::new(connection, &input, output.bytes, buffers), *response)
    }

    /// Why the connection did not open, after [`Step::Closed`].
    ///
    /// # Errors
    ///
    /// [`OpeningError::Handshake`] when the server refused or broke the rules, [`OpeningError::Timeout`], or
    /// [`OpeningError::Transport`] when the transport failed or ended.
    pub fn result(self) -> Result<(), OpeningError> {
        match self.phase {
            Phase::Closed(error) => Err(error),
            _ => Ok(()),
        }
    }

    fn timeout(&self, timeout: Timeout) -> OpeningError {
        OpeningError::Timeout(timeout, timeout.limit(&self.config))
    }

    fn close(&mut self, error: OpeningError) {
        self.exchange.output.throw_away();
        self.phase = Phase::Closed(error);
    }

    fn ask(&mut self, clock: &mut Clock<impl FnOnce() -> Duration>) -> Option<Step> {
        if core::mem::take(&mut self.exchange.has_news) {
            match self.handshake.receive(&mut self.exchange.input) {
                Ok(Some(response)) => {
                    // To open what can only be read would put off the error.
                    match self.exchange.output.failed {
                        Some(failed) => self.close(OpeningError::Transport(failed)),
                        None => self.phase = Phase::Open(Box::new(response)),
                    }
                    return None;
                }
                Err(HandshakeError::Refused(refusal)) => {
                    self.phase = Phase::Refused(Refusal::new(refusal, &mut self.exchange));
                    return None;
                }
                Err(error) => {
                    // What a server says that has not had the whole request explains nothing.
                    let failed = self.exchange.output.failed.map(OpeningError::Transport);
                    self.close(failed.unwrap_or(error.into()));
                    return None;
                }
                Ok(None) if self.exchange.peer_ended => {
                    let error = self.exchange.output.failed.unwrap_or(TransportError::UnexpectedEof);
                    self.close(OpeningError::Transport(error));
                    return None;
                }
                Ok(None) => {}
            }
        }
        if let Some(step) = self.exchange.output.step() {
            return Some(step);
        }
        let step = self.exchange.read_or_wait(self.handshake.poll_timeout(), clock);
        if step.is_none() {
            let timeout = self.timeout(Timeout::Handshake);
            let failed = self.exchange.output.failed.map(OpeningError::Transport);
            self.close(failed.unwrap_or(timeout));
        }
        step
    }

    fn read_body(&mut self, clock: &mut Clock<impl FnOnce() -> Duration>) -> Option<Step> {
        let Phase::Refused(refusal) = &mut self.phase else { return None };
        let step = refusal.read(&mut self.exchange, self.handshake.poll_timeout(), clock);
        if step.is_none() {
            self.refused();
        }
        step
    }

    /// Reports the refusal with what has arrived of its body.
    fn refused(&mut self) {
        let closed = Phase::Closed(OpeningError::Transport(TransportError::UnexpectedEof));
        if let Phase::Refused(refusal) = core::mem::replace(&mut self.phase, closed) {
            self.close(HandshakeError::Refused(refusal.into_response()).into());
        }
    }
}

impl Drive for Connecting {
    fn poll(&mut self, clock: impl FnOnce() -> Duration) -> Step {
        let mut clock = Clock::new(clock);
        loop {
            let step = match &self.phase {
                Phase::Asking => self.ask(&mut clock),
                Phase::Refused(..) => self.read_body(&mut clock),
                Phase::Open(_) => Some(Step::Ready),
                Phase::Closed(_) if self.exchange.output.take_last_shutdown() => Some(Step::ShutdownWrite),
                Phase::Closed(_) => Some(Step::Closed),
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    fn poll_timeout(&self) -> Option<Duration> {
        match &self.phase {
            Phase::Asking => self.handshake.poll_timeout(),
            Phase::Refused(refusal) => refusal.poll_timeout(self.handshake.poll_timeout()),
            Phase::Open(_) | Phase::Closed(_) => None,
        }
    }

    report_to_exchange!();

    fn read_failed(&mut self, error: TransportError) {
        match self.phase {
            Phase::Refused(..) => self.refused(),
            Phase::Closed(_) => {}
            _ => {
                let error = self.exchange.output.failed.unwrap_or(error);
                self.close(OpeningError::Transport(error));
                self.exchange.output.shut_down = true;
            }
        }
    }

    fn write_failed(&mut self, error: TransportError) {
        // A server that refuses may not read the request to its end: the response may be there all the same.
        self.exchange.output.fail(error);
    }
}
