//! One table of deadlines. Time is an argument: a `Duration` since an origin that the caller picks.
//!
//! The machines only note that something moved. After a batch the adapter asks
//! [`wants_time`](crate::Connection::wants_time) and, where it does, reads its clock once and calls
//! [`arm`](crate::Connection::arm). The table is boxed when the first deadline is armed and freed with the last,
//! so that a connection without one pays a pointer.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use crate::proto::config::Config;
use crate::proto::inbound::InboundStatus;

/// A deadline that ended the connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Timeout {
    /// The peer sent no byte for [`Config::idle_timeout`].
    Idle,
    /// A message in progress brought no payload byte for [`Config::message_timeout`].
    Message,
    /// The pong to a keep-alive ping took longer than [`Config::pong_timeout`].
    Pong,
    /// The transport took no byte for [`Config::write_timeout`].
    Write,
    /// The closing handshake, or the transport's end after it, took longer than [`Config::close_timeout`].
    Close,
}

impl core::fmt::Display for Timeout {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Idle => "the peer was silent for too long",
            Self::Message => "a message stalled before its end",
            Self::Pong => "the peer did not answer a ping in time",
            Self::Write => "the peer took nothing of what was sent for too long",
            Self::Close => "the connection took too long to close",
        })
    }
}

/// What the deadlines hang on, as the machines see it now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation {
    /// No Close has been sent or received and nothing failed.
    pub(crate) open: bool,
    /// Our Close is out, or the transport is to end.
    pub(crate) closing: bool,
    /// Bytes wait to be written.
    pub(crate) unsent: bool,
    /// Of them, some were written since the last look at the clock.
    pub(crate) wrote: bool,
    /// What the receiving machine knows, where it could be asked.
    pub(crate) inbound: Option<InboundStatus>,
}

#[derive(Debug, Default)]
pub(crate) struct Timers {
    table: Option<Box<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    deadlines: [Option<Duration>; Slot::COUNT],
    /// Pings without their pong, oldest first.
    pings: Vec<Ping>,
    /// When the ping was sent to which a pong has just arrived.
    answered: Option<Duration>,
    latency: Option<Duration>,
    keep_alives: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Slot {
    Close,
    Write,
    Message,
    Idle,
    /// When the next keep-alive ping is due: the one slot whose expiry ends nothing.
    Ping,
    Pong,
}

impl Slot {
    const COUNT: usize = 6;
    /// Those that a sending side can judge which knows nothing of what has arrived.
    #[cfg(any(feature = "blocking", feature = "tokio"))]
    const SENDING: [Self; 2] = [Self::Close, Self::Write];
    const ALL: [Self; Self::COUNT] = [Self::Close, Self::Write, Self::Message, Self::Idle, Self::Ping, Self::Pong];

    const fn timeout(self) -> Option<Timeout> {
        match self {
            Self::Close => Some(Timeout::Close),
            Self::Write => Some(Timeout::Write),
            Self::Message => Some(Timeout::Message),
            Self::Idle => Some(Timeout::Idle),
            Self::Pong => Some(Timeout::Pong),
            Self::Ping => None,
        }
    }
}

#[derive(Debug)]
struct Ping {
    payload: Box<[u8]>,
    /// `None` until the clock was read.
    sent: Option<Duration>,
    keep_alive: bool,
}

/// What is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Due {
    KeepAlive,
    Expired(Timeout),
}

impl Timers {
    /// The most pings that are remembered; of more, the oldest are forgotten.
    const MAX_PINGS: usize = 16;

    /// What `slot` is to do: no deadline, keep the one it has, or count from now.
    fn wish(slot: Slot, now: Situation, config: &Config) -> Wish {
        let (wanted, moved, timeout) = match (slot, now.inbound) {
            (Slot::Close, _) => (now.closing, false, config.close_timeout),
            (Slot::Write, _) => (now.unsent, now.wrote, config.write_timeout),
            (Slot::Ping, _) => (now.open, false, config.ping_interval),
            // Armed when the ping goes out.
            (Slot::Pong, _) if now.open => return Wish::Keep,
            (Slot::Message, Some(inside)) => {
                (now.open && inside.message_in_progress, inside.activity.progress, config.message_timeout)
            }
            (Slot::Idle, Some(inside)) => (now.open, inside.activity.received, config.idle_timeout),
            (Slot::Message | Slot::Idle, None) if now.open => return Wish::Keep,
            (Slot::Message | Slot::Idle | Slot::Pong, _) => return Wish::Off,
        };
        match timeout {
            Some(timeout) if wanted => Wish::On { timeout, moved },
            _ => Wish::Off,
        }
    }

    /// Whether [`arm`](Self::arm) would change anything.
    pub(crate) fn want_time(&self, situation: Situation, config: &Config) -> bool {
        let table = self.table.as_deref();
        let pending = table.is_some_and(|table| {
            table.answered.is_some() || table.pings.last().is_some_and(|ping| ping.sent.is_none())
        });
        pending
            || Slot::ALL.into_iter().any(|slot| {
                let armed = table.is_some_and(|table| table.deadlines[slot as usize].is_some());
                match Self::wish(slot, situation, config) {
                    Wish::On { moved, .. } => moved || !armed,
                    Wish::Off => armed,
                    Wish::Keep => false,
                }
            })
    }

    /// Sets and lifts deadlines, counting from `now`.
    pub(crate) fn arm(&mut self, now: Duration, situation: Situation, config: &Config) {
        for slot in Slot::ALL {
            match Self::wish(slot, situation, config) {
                Wish::On { timeout, moved } => {
                    let deadline = &mut self.table.get_or_insert_default().deadlines[slot as usize];
                    if moved || deadline.is_none() {
                        *deadline = Some(now.saturating_add(timeout));
                    }
                }
                Wish::Off => {
                    if let Some(table) = &mut self.table {
                        table.deadlines[slot as usize] = None;
                    }
                }
                Wish::Keep => {}
            }
        }
        let Some(table) = &mut self.table else { return };
        for ping in table.pings.iter_mut().filter(|ping| ping.sent.is_none()) {
            ping.sent = Some(now);
        }
        if let Some(sent) = table.answered.take() {
            table.latency = Some(now.saturating_sub(sent));
        }
        if table.latency.is_none() && table.pings.is_empty() && table.deadlines.iter().all(Option::is_none) {
            self.table = None;
        }
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.table.as_deref()?.deadlines.iter().flatten().min().copied()
    }

    /// The earliest deadline of the sending side.
    #[cfg(any(feature = "blocking", feature = "tokio"))]
    pub(crate) fn next_sending(&self) -> Option<Duration> {
        let table = self.table.as_deref()?;
        Slot::SENDING.into_iter().filter_map(|slot| table.deadlines[slot as usize]).min()
    }

    /// One deadline of the sending side that is over at `now`; it is lifted.
    #[cfg(any(feature = "blocking", feature = "tokio"))]
    pub(crate) fn due_sending(&mut self, now: Duration) -> Option<Timeout> {
        let table = self.table.as_deref_mut()?;
        let slot = Slot::SENDING
            .into_iter()
            .find(|slot| table.deadlines[*slot as usize].is_some_and(|deadline| deadline <= now))?;
        table.deadlines[slot as usize] = None;
        slot.timeout()
    }

    /// One thing that is due at `now`; its deadline is lifted, a keep-alive's set anew.
    pub(crate) fn due(&mut self, now: Duration, config: &Config) -> Option<Due> {
        let table = self.table.as_deref_mut()?;
        let slot = Slot::ALL
            .into_iter()
            .find(|slot| table.deadlines[*slot as usize].is_some_and(|deadline| deadline <= now))?;
        table.deadlines[slot as usize] = match slot {
            Slot::Ping => config.ping_interval.map(|interval| now.saturating_add(interval.max(MIN_INTERVAL))),
            _ => None,
        };
        Some(slot.timeout().map_or(Due::KeepAlive, Due::Expired))
    }

    /// The payload for a keep-alive ping, different each time.
    pub(crate) fn keep_alive(&mut self) -> [u8; 8] {
        let table = self.table.get_or_insert_default();
        table.keep_alives += 1;
        table.keep_alives.to_be_bytes()
    }

    /// A ping went out: at `now`, or when [`arm`](Self::arm) is called next.
    pub(crate) fn pinged(&mut self, payload: &[u8], now: Option<Duration>, config: &Config) {
        let table = self.table.get_or_insert_default();
        if table.pings.len() == Self::MAX_PINGS {
            table.pings.remove(0);
        }
        // Only a keep-alive goes out at a time that is known.
        table.pings.push(Ping { payload: payload.into(), sent: now, keep_alive: now.is_some() });
        table.watch_pong(config);
    }

    /// A pong arrived: it answers its ping and all before it (RFC 6455 section 5.5.3), or nothing.
    pub(crate) fn ponged(&mut self, payload: &[u8], config: &Config) {
        let Some(table) = &mut self.table else { return };
        let Some(answered) = table.pings.iter().rposition(|ping| *ping.payload == *payload) else { return };
        table.answered = table.pings.drain(..=answered).next_back().and_then(|ping| ping.sent);
        table.watch_pong(config);
    }

    pub(crate) fn latency(&self) -> Option<Duration> {
        self.table.as_deref()?.latency
    }
}

impl Table {
    /// The pong deadline belongs to the oldest keep-alive ping without one.
    fn watch_pong(&mut self, config: &Config) {
        let oldest = self.pings.iter().find(|ping| ping.keep_alive);
        self.deadlines[Slot::Pong as usize] =
            oldest.and_then(|ping| Some(ping.sent?.saturating_add(config.pong_timeout?)));
    }
}

enum Wish {
    On { timeout: Duration, moved: bool },
    Off,
    Keep,
}

/// A ping interval of zero would never let the caller sleep.
const MIN_INTERVAL: Duration = Duration::from_millis(1);
