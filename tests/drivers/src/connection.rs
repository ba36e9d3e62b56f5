//! A connection, from its opening handshake to its end.

use std::mem;
use std::time::Duration;

use bowsprit::driver::{Accepting, Connecting, Driver, Goal};
use bowsprit::handshake::AcceptOptions;
use bowsprit::{Error, Messages, SendError};
use mio::net::TcpStream;

use crate::drive::{Pause, drive};
use crate::event_loop::Application;
use crate::pool::Pool;

pub(crate) struct Connection {
    pub(crate) socket: TcpStream,
    /// The deadline that the loop knows.
    pub(crate) until: Option<Duration>,
    stage: Stage,
}

pub(crate) enum Stage {
    Connecting(Box<Connecting>),
    /// The request is being read.
    Reading(Box<Accepting>),
    /// The answer is being written.
    Answering(Box<Accepting>),
    Open(Box<Driver<Messages, Pool>>),
    /// Open, with a message that the application could not answer: the queue was full.
    Full(Box<Driver<Messages, Pool>>),
    /// Nothing can be made of it.
    Failed(Error),
}

impl Connection {
    pub(crate) fn new(socket: TcpStream, stage: Stage) -> Self {
        Self { socket, until: None, stage }
    }

    /// Goes on as far as the socket allows. It never returns [`Pause::Ready`].
    pub(crate) fn turn(
        &mut self,
        key: usize,
        application: &mut impl Application,
        clock: &impl Fn() -> Duration,
    ) -> Pause {
        let mut reads = READS;
        loop {
            let Self { socket, stage, .. } = self;
            let pause = match stage {
                Stage::Connecting(machine) => drive(&mut **machine, socket, &mut reads, clock),
                Stage::Reading(machine) | Stage::Answering(machine) => drive(&mut **machine, socket, &mut reads, clock),
                Stage::Open(driver) => drive(&mut **driver, socket, &mut reads, clock),
                Stage::Full(driver) => {
                    match drive(&mut driver.send_half_mut().until(Goal::Room), socket, &mut reads, clock) {
                        // The sending side has failed: the driver says what is left to do.
                        Pause::Closed => Pause::Ready,
                        pause => pause,
                    }
                }
                Stage::Failed(_) => Pause::Closed,
            };
            match pause {
                Pause::Ready => self.proceed(key, application),
                pause => return pause,
            }
        }
    }

    /// Does what follows now that the driver is ready.
    fn proceed(&mut self, key: usize, application: &mut impl Application) {
        let stage = mem::replace(&mut self.stage, Stage::Failed(SendError::Closing.into()));
        self.stage = match stage {
            Stage::Connecting(machine) => match random() {
                Ok(seed) => opened(key, machine.into_driver(Messages, seed, Pool).0, application),
                Err(error) => Stage::Failed(error),
            },
            Stage::Reading(mut machine) => {
                // Where it cannot be accepted, the machine writes the refusal, and its result says why.
                let _ = machine.accept(&AcceptOptions::new());
                Stage::Answering(machine)
            }
            Stage::Answering(machine) => opened(key, machine.into_driver(Messages, Pool).0, application),
            // From `Full`, it is the same message again: the driver has not been asked for another one.
            Stage::Open(mut driver) | Stage::Full(mut driver) => {
                let (message, send) = driver.item_and_send();
                let answered = message.map_or(Ok(()), |message| application.received(key, message, send));
                if answered == Err(SendError::Full) { Stage::Full(driver) } else { Stage::Open(driver) }
            }
            failed @ Stage::Failed(_) => failed,
        };
    }

    /// How it ended.
    pub(crate) fn result(self) -> Result<(), Error> {
        match self.stage {
            Stage::Connecting(machine) => machine.result()?,
            Stage::Reading(machine) | Stage::Answering(machine) => machine.result()?,
            Stage::Open(mut driver) | Stage::Full(mut driver) => driver.result()?,
            Stage::Failed(error) => return Err(error),
        }
        Ok(())
    }
}

fn opened(key: usize, mut driver: Driver<Messages, Pool>, application: &mut impl Application) -> Stage {
    application.opened(key, driver.send_half_mut());
    Stage::Open(Box::new(driver))
}

/// Bytes from the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(bytes)
}

/// Reads in one turn: at most 1 MiB.
const READS: u32 = 16;
