//! A server's opening handshake.

use alloc::sync::Arc;
use core::time::Duration;

use bytes::BytesMut;

use super::Driver;
use super::buffers::Buffers;
use super::clock::Clock;
use super::opening::{Exchange, OpeningError, report_to_exchange};
use super::step::{Drive, Step, TransportError};
use crate::proto::config::Config;
use crate::proto::connection::Connection;
use crate::proto::error::HandshakeError;
use crate::proto::handshake::{AcceptOptions, Accepted, ServerHandshake, ServerRequest};
use crate::proto::message::Delivery;
use crate::proto::timers::Timeout;

/// A server's opening handshake: reads the request, answers it, and, where the answer is no 101, ends the transport.
///
/// [`Step::Ready`] comes twice: with the [`request`](Self::request), which the application then
/// [accepts](Self::accept) or [answers otherwise](Self::respond), and once the 101 has left:
/// [`into_driver`](Self::into_driver) opens the connection. A request that cannot be accepted is answered by itself;
/// [`Step::Closed`] follows once the client has had the answer, and [`result`](Self::result) says why.
#[derive(Debug)]
pub struct Accepting {
    exchange: Exchange,
    config: Arc<Config>,
    handshake: ServerHandshake,
    request: Option<ServerRequest>,
    accepted: Option<Accepted>,
    phase: Phase,
    error: Option<OpeningError>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// The request is being read.
    Reading,
    /// The application is to answer.
    Requested,
    /// The 101 is being written, until this time once it is known.
    Accepting(Option<Duration>),
    Open,
    /// Another answer is being written, and the client's end awaited, until this time once it is known.
    Ending(Option<Duration>),
    Closed,
}

impl Accepting {
    /// Waits for a request; [`Config::handshake_timeout`] starts at `now`.
    #[must_use]
    pub fn new(config: Arc<Config>, now: Duration) -> Self {
        Self {
            exchange: Exchange::new(BytesMut::new()),
            handshake: ServerHandshake::new(config.clone(), now),
            config,
            request: None,
            accepted: None,
            phase: Phase::Reading,
            error: None,
        }
    }

    /// The request, once it is there.
    #[must_use]
    pub const fn request(&self) -> Option<&ServerRequest> {
        self.request.as_ref()
    }

    /// Agrees: the 101 is written in the next steps.
    ///
    /// # Errors
    ///
    /// As [`ServerRequest::accept`]; the client is answered with the error's status in the next steps.
    ///
    /// # Panics
    ///
    /// Where there is no [`request`](Self::request) that waits for its answer.
    pub fn accept(&mut self, options: &AcceptOptions) -> Result<(), HandshakeError> {
        let request = waiting(self.phase, self.request.as_ref());
        match request.accept(options, &mut self.exchange.output.bytes) {
            Ok(accepted) => {
                self.accepted = Some(accepted);
                self.phase = Phase::Accepting(None);
                Ok(())
            }
            Err(error) => {
                self.refuse(error.clone());
                Err(error)
            }
        }
    }

    /// Answers with another status; the answer is written in the next steps.
    ///
    /// # Errors
    ///
    /// As [`ServerRequest::respond`]; nothing is sent then, and the request may be answered otherwise.
    ///
    /// # Panics
    ///
    /// Where there is no [`request`](Self::request) that waits for its answer.
    pub fn respond(&mut self, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Result<(), HandshakeError> {
        let request = waiting(self.phase, self.request.as_ref());
        request.respond(status, headers, body, &mut self.exchange.output.bytes)?;
        self.phase = Phase::Ending(None);
        Ok(())
    }

    /// The open connection, after the second [`Step::Ready`], with what arrived behind the request.
    ///
    /// # Panics
    ///
    /// Where the request was not accepted.
    #[must_use]
    pub fn into_driver<D: Delivery, B: Buffers + Clone>(self, delivery: D, buffers: B) -> (Driver<D, B>, Accepted) {
        let accepted = self.accepted.expect("the request was accepted");
        let connection = Connection::server(delivery, self.config).with_extensions(accepted.extensions());
        let Exchange { input, output, .. } = self.exchange;
        (Driver::new(connection, &input, output.bytes, buffers), accepted)
    }

    /// Why the connection did not open, after [`Step::Closed`].
    ///
    /// # Errors
    ///
    /// [`OpeningError::Handshake`] for a request that was refused, [`OpeningError::Timeout`], or
    /// [`OpeningError::Transport`] when the request did not arrive or the answer did not leave.
    pub fn result(self) -> Result<(), OpeningError> {
        self.error.map_or(Ok(()), Err)
    }

    fn refuse(&mut self, error: HandshakeError) {
        error.respond(&mut self.exchange.output.bytes);
        self.error = Some(OpeningError::Handshake(error));
        self.phase = Phase::Ending(None);
    }

    fn failed(&mut self, error: TransportError) {
        self.error.get_or_insert(OpeningError::Transport(error));
        self.exchange.output.fail(error);
        self.phase = Phase::Closed;
    }

    fn timed_out(&mut self, now: Duration) {
        // The time is over: the answer is what the transport accepts at once.
        HandshakeError::TimedOut(Timeout::Handshake.limit(&self.config)).respond(&mut self.exchange.output.bytes);
        self.error = Some(self.timeout(Timeout::Handshake));
        self.phase = Phase::Ending(Some(now));
    }

    fn timeout(&self, timeout: Timeout) -> OpeningError {
        OpeningError::Timeout(timeout, timeout.limit(&self.config))
    }

    fn read(&mut self, clock: &mut Clock<impl FnOnce() -> Duration>) -> Option<Step> {
        if core::mem::take(&mut self.exchange.has_news) {
            match self.handshake.receive(&mut self.exchange.input) {
                Ok(Some(request)) => {
                    self.request = Some(request);
                    self.phase = Phase::Requested;
                    return None;
                }
                Ok(None) if self.exchange.peer_ended => {
                    self.failed(TransportError::UnexpectedEof);
                    return None;
                }
                Ok(None) => {}
                Err(error) => {
                    self.refuse(error);
                    return None;
                }
            }
        }
        let step = self.exchange.read_or_wait(self.handshake.poll_timeout(), clock);
        if step.is_none() {
            self.timed_out(clock.now());
        }
        step
    }

    fn write_acceptance(
        &mut self,
        deadline: Option<Duration>,
        clock: &mut Clock<impl FnOnce() -> Duration>,
    ) -> Option<Step> {
        if !self.exchange.output.has_unsent() {
            self.phase = Phase::Open;
            return None;
        }
        if let Some(step) = self.exchange.output.step() {
            return Some(step);
        }
        let Some(timeout) = self.config.handshake_timeout else { return self.exchange.wait_to_write(None, clock) };
        let deadline = deadline.unwrap_or_else(|| clock.now().saturating_add(timeout));
        self.phase = Phase::Accepting(Some(deadline));
        let step = self.exchange.wait_to_write(Some(deadline), clock);
        if step.is_none() {
            self.error = Some(self.timeout(Timeout::Handshake));
            self.phase = Phase::Closed;
        }
        step
    }

    /// Writes the answer, shuts the writing side down, reads and discards until the client ends the stream or the close
    /// deadline is over: to close with unread input would destroy what is on its way.
    fn end(&mut self, deadline: Option<Duration>, clock: &mut Clock<impl FnOnce() -> Duration>) -> Option<Step> {
        self.exchange.input.clear();
        let output = &self.exchange.output;
        if let Some(step) = output.step() {
            return Some(step);
        }
        if output.is_shutdown_due() {
            return Some(Step::ShutdownWrite);
        }
        if output.shut_down && self.exchange.peer_ended {
            self.phase = Phase::Closed;
            return None;
        }
        let deadline = match (deadline, self.config.close_timeout) {
            (None, Some(timeout)) => Some(clock.now().saturating_add(timeout)),
            (deadline, _) => deadline,
        };
        self.phase = Phase::Ending(deadline);
        // However much the client sends, the deadline is judged.
        let over = deadline.is_some_and(|deadline| deadline <= clock.now());
        let step = if over { None } else { self.exchange.read_or_wait(deadline, clock) };
        if step.is_none() {
            if self.exchange.output.has_unsent() {
                let timeout = self.timeout(Timeout::Close);
                self.error.get_or_insert(timeout);
            }
            self.exchange.output.throw_away();
            self.phase = Phase::Closed;
        }
        step
    }
}

/// The request that is to be answered.
fn waiting(phase: Phase, request: Option<&ServerRequest>) -> &ServerRequest {
    assert!(phase == Phase::Requested, "a request waits for its answer");
    request.expect("it is kept when it was received")
}

impl Drive for Accepting {
    fn poll(&mut self, clock: impl FnOnce() -> Duration) -> Step {
        let mut clock = Clock::new(clock);
        loop {
            let step = match self.phase {
                Phase::Reading => self.read(&mut clock),
                Phase::Accepting(deadline) => self.write_acceptance(deadline, &mut clock),
                Phase::Ending(deadline) => self.end(deadline, &mut clock),
                Phase::Requested | Phase::Open => Some(Step::Ready),
                Phase::Closed if self.exchange.output.take_last_shutdown() => Some(Step::ShutdownWrite),
                Phase::Closed => Some(Step::Closed),
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    fn poll_timeout(&self) -> Option<Duration> {
        match self.phase {
            Phase::Reading => self.handshake.poll_timeout(),
            Phase::Accepting(deadline) | Phase::Ending(deadline) => deadline,
            Phase::Requested | Phase::Open | Phase::Closed => None,
        }
    }

    report_to_exchange!();

    fn read_failed(&mut self, error: TransportError) {
        if matches!(self.phase, Phase::Ending(_)) && !self.exchange.output.has_unsent() {
            // The client has had its answer, or does not want it.
            self.exchange.output.shut_down = true;
            self.phase = Phase::Closed;
        } else {
            self.failed(error);
        }
    }

    fn write_failed(&mut self, error: TransportError) {
        let ending = matches!(self.phase, Phase::Ending(_) | Phase::Closed);
        if ending && !self.exchange.output.has_unsent() {
            // Shutting down failed, after all had left.
            self.exchange.output.shut_down = true;
            self.phase = Phase::Closed;
        } else {
            self.failed(error);
        }
    }
}
