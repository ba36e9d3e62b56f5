//! One table of deadlines. Time is an argument: a `Duration` since an origin that the caller picks.
//!
//! The machines only note that something moved. After a batch the adapter asks
//! [`wants_time`](crate::Connection::wants_time) and, where it does, reads its clock once and calls
//! [`arm`](crate::Connection::arm). The table is boxed when the first deadline is armed, and freed when a connection that is
//! idle has none, so that it pays a pointer.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use crate::proto::config::Config;
use crate::proto::inbound::InboundStatus;

/// A deadline of [`Config`] that expired.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Timeout {
    /// The opening handshake took longer than [`Config::handshake_timeout`].
    Handshake,
    /// The peer sent no byte for [`Config::idle_timeout`].
    Idle,
    /// A message in progress brought no payload byte for [`Config::message_timeout`].
    Message,
    /// The pong to a keep-alive ping did not arrive within [`Config::pong_timeout`].
    Pong,
    /// The transport accepted too little output within [`Config::write_timeout`].
    Write,
    /// The closing handshake, or the end of the transport after it, took longer than [`Config::close_timeout`].
    Close,
}

impl Timeout {
    /// How long this deadline is; zero where `config` has none.
    #[must_use]
    pub fn limit(self, config: &Config) -> Duration {
        let limit = match self {
            Self::Handshake => config.handshake_timeout,
            Self::Idle => config.idle_timeout,
            Self::Message => config.message_timeout,
            Self::Pong => config.pong_timeout,
            Self::Write => config.write_timeout,
            Self::Close => config.close_timeout,
        };
        limit.unwrap_or_default()
    }
}

impl core::fmt::Display for Timeout {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Handshake => "the opening handshake took too long",
            Self::Idle => "the peer was silent for too long",
            Self::Message => "a message stalled before its end",
            Self::Pong => "no pong in time",
            Self::Write => "the peer accepted too little output for too long",
            Self::Close => "the connection took too long to close",
        })
    }
}

/// The state of a connection, as far as deadlines depend on it.
#[derive(Clone, Copy, Debug)]
pub(in crate::proto) struct Conditions {
    /// No Close has been sent or received and nothing failed.
    pub(in crate::proto) open: bool,
    /// A Close has been queued, or something failed.
    pub(in crate::proto) ending: bool,
    /// Likewise, and what was queued before has left.
    pub(in crate::proto) closing: bool,
    /// Output is waiting to be written.
    pub(in crate::proto) unsent: bool,
    /// All output had left at some time since the deadlines were last set.
    pub(in crate::proto) drained: bool,
    /// The state of the receiving machine, where the caller holds it.
    pub(in crate::proto) receiving: Option<InboundStatus>,
}

impl Conditions {
    /// Whether any deadline may be wanted: none is by an open connection that is idle, if it has no keep-alive.
    fn want_any(self, config: &Config) -> bool {
        self.ending
            || self.unsent
            || self.receiving.is_some_and(|receiving| receiving.message_in_progress)
            || config.ping_interval.is_some()
            || config.idle_timeout.is_some()
    }
}

#[derive(Debug, Default)]
pub(in crate::proto) struct Timers {
    table: Option<Box<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    deadlines: [Option<Duration>; Slot::COUNT],
    /// Pings without their pong, oldest first.
    pings: Vec<Ping>,
    /// When the ping was sent that has just been answered.
    answered: Option<Duration>,
    latency: Option<Duration>,
    /// When a byte from the peer was last noticed.
    last_received: Option<Duration>,
    /// Bytes that the transport has accepted since the write deadline was last moved.
    accepted: usize,
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
    /// Those that do not depend on what has arrived.
    const SENDING: &[Self] = &[Self::Close, Self::Write];
    const ALL: &[Self] = &[Self::Close, Self::Write, Self::Message, Self::Idle, Self::Ping, Self::Pong];

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

/// Which deadlines are judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::proto) enum Scope {
    All,
    /// Only those that do not depend on what has arrived, for a caller that reads nothing at the moment: the peer is not
    /// to blame for what nobody reads.
    Sending,
}

impl Scope {
    const fn slots(self) -> &'static [Slot] {
        match self {
            Self::All => Slot::ALL,
            Self::Sending => Slot::SENDING,
        }
    }
}

#[derive(Debug)]
struct Ping {
    payload: Box<[u8]>,
    /// Bytes of output up to its end that the transport has not accepted yet.
    unsent: usize,
    /// When it left; `None` until the clock was read after that.
    sent: Option<Duration>,
    keep_alive: bool,
}

impl Ping {
    /// Whether it has left, and the clock has not been read since.
    const fn is_unstamped(&self) -> bool {
        self.unsent == 0 && self.sent.is_none()
    }
}

/// What is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::proto) enum Due {
    KeepAlive,
    Expired(Timeout),
}

/// What is to happen to one deadline.
enum Change {
    /// Set it unless it is set; count it from now if `moved`.
    Set {
        timeout: Duration,
        moved: bool,
    },
    Lift,
    Keep,
}

impl Timers {
    /// The most pings that are remembered; of more, the oldest are forgotten.
    const MAX_PINGS: usize = 16;

    fn change(&self, slot: Slot, now: Conditions, config: &Config) -> Change {
        let table = self.table.as_deref();
        let (wanted, moved, timeout) = match (slot, now.receiving) {
            (Slot::Close, _) => {
                // Once it runs, what follows the Close, a Pong perhaps, does not put it off.
                let runs = table.is_some_and(|table| table.deadlines[Slot::Close as usize].is_some());
                (now.closing || now.ending && runs, false, config.close_timeout)
            }
            (Slot::Write, _) => {
                let min = if now.ending { MIN_PROGRESS } else { 1 };
                let progress = table.is_some_and(|table| table.accepted >= min);
                (now.unsent, now.drained || progress, config.write_timeout)
            }
            (Slot::Ping, _) => (now.open, false, config.ping_interval),
            (Slot::Pong, Some(receiving)) => {
                let outstanding = table.is_some_and(Table::awaits_pong);
                // Any byte is a sign of life: a Pong cannot overtake a message that is still arriving.
                (now.open && outstanding, receiving.activity.received, config.pong_timeout)
            }
            (Slot::Message, Some(receiving)) => {
                let wanted = now.open && receiving.message_in_progress;
                (wanted, receiving.activity.progress, config.message_timeout)
            }
            (Slot::Idle, Some(receiving)) => (now.open, receiving.activity.received, config.idle_timeout),
            (Slot::Message | Slot::Idle | Slot::Pong, None) if now.open => return Change::Keep,
            (Slot::Message | Slot::Idle | Slot::Pong, None) => return Change::Lift,
        };
        match timeout {
            Some(timeout) if wanted => Change::Set { timeout, moved },
            _ => Change::Lift,
        }
    }

    /// Whether [`arm`](Self::arm) would change anything.
    pub(in crate::proto) fn want_time(&self, conditions: Conditions, config: &Config) -> bool {
        if self.table.is_none() && !conditions.want_any(config) {
            return false;
        }
        self.want_stamp()
            || Slot::ALL.iter().any(|&slot| {
                let armed = self.table.as_deref().is_some_and(|table| table.deadlines[slot as usize].is_some());
                match self.change(slot, conditions, config) {
                    Change::Set { moved, .. } => moved || !armed,
                    Change::Lift => armed,
                    Change::Keep => false,
                }
            })
    }

    /// Whether a ping has left, or was answered, since the clock was last read.
    pub(in crate::proto) fn want_stamp(&self) -> bool {
        let Some(table) = self.table.as_deref() else { return false };
        table.answered.is_some() || table.pings.iter().any(Ping::is_unstamped)
    }

    /// Sets and lifts deadlines, counting from `now`.
    pub(in crate::proto) fn arm(&mut self, now: Duration, conditions: Conditions, config: &Config) {
        self.stamp(now);
        for &slot in Slot::ALL {
            match self.change(slot, conditions, config) {
                Change::Set { timeout, moved } => {
                    let table = self.table.get_or_insert_default();
                    let deadline = &mut table.deadlines[slot as usize];
                    if moved || deadline.is_none() {
                        *deadline = Some(now.saturating_add(timeout));
                        if slot == Slot::Write {
                            table.accepted = 0;
                        }
                    }
                }
                Change::Lift => {
                    if let Some(table) = &mut self.table {
                        table.deadlines[slot as usize] = None;
                    }
                }
                Change::Keep => {}
            }
        }
        let Some(table) = &mut self.table else { return };
        if conditions.receiving.is_some_and(|receiving| receiving.activity.received) {
            table.last_received = Some(now);
        }
        if conditions.receiving.is_none() {
            // Between two reads of a busy connection it would only be made again.
            self.shrink();
        }
    }

    /// Frees the table if there is nothing in it.
    pub(in crate::proto) fn shrink(&mut self) {
        self.table.take_if(|table| {
            table.latency.is_none() && table.pings.is_empty() && table.deadlines.iter().all(Option::is_none)
        });
    }

    /// Notes the time of pings that have left, and of those that were answered.
    fn stamp(&mut self, now: Duration) {
        let Some(table) = &mut self.table else { return };
        for ping in table.pings.iter_mut().filter(|ping| ping.is_unstamped()) {
            ping.sent = Some(now);
        }
        if let Some(sent) = table.answered.take() {
            table.latency = Some(now.saturating_sub(sent));
        }
    }

    /// The earliest deadline.
    pub(in crate::proto) fn next(&self, scope: Scope) -> Option<Duration> {
        let table = self.table.as_deref()?;
        // One that the clock cannot show never comes.
        scope.slots().iter().filter_map(|&slot| table.deadlines[slot as usize]).filter(|&at| at < Duration::MAX).min()
    }

    /// One thing that is due at `now`; its deadline is lifted, a keep-alive's set anew.
    pub(in crate::proto) fn due(&mut self, now: Duration, scope: Scope, config: &Config) -> Option<Due> {
        let table = self.table.as_deref_mut()?;
        let &slot = scope.slots().iter().find(|&&slot| {
            table.deadlines[slot as usize].is_some_and(|deadline| deadline <= now && deadline < Duration::MAX)
        })?;
        table.deadlines[slot as usize] = match slot {
            Slot::Ping => config.ping_interval.map(|interval| now.saturating_add(interval.max(MIN_INTERVAL))),
            _ => None,
        };
        Some(slot.timeout().map_or(Due::KeepAlive, Due::Expired))
    }

    /// The payload of the next keep-alive ping, different each time; `None` while the one before has not left: it would
    /// only add to what the peer does not read.
    pub(in crate::proto) fn keep_alive(&mut self) -> Option<[u8; 8]> {
        let table = self.table.get_or_insert_default();
        if table.pings.iter().any(|ping| ping.keep_alive && ping.unsent > 0) {
            return None;
        }
        table.keep_alives += 1;
        Some(table.keep_alives.to_be_bytes())
    }

    /// A ping was queued as the last of `unsent` bytes of output.
    pub(in crate::proto) fn ping_queued(&mut self, payload: &[u8], unsent: usize, keep_alive: bool) {
        let table = self.table.get_or_insert_default();
        if table.pings.len() == Self::MAX_PINGS {
            table.pings.remove(0);
        }
        table.pings.push(Ping { payload: payload.into(), unsent, sent: None, keep_alive });
    }

    /// The transport accepted `n` bytes of output.
    #[inline]
    pub(in crate::proto) fn written(&mut self, n: usize) {
        if let Some(table) = &mut self.table {
            table.accepted = table.accepted.saturating_add(n);
            for ping in &mut table.pings {
                ping.unsent = ping.unsent.saturating_sub(n);
            }
        }
    }

    /// A pong arrived: it answers its ping and all before it (RFC 6455 section 5.5.3), or nothing.
    pub(in crate::proto) fn pong_received(&mut self, payload: &[u8]) {
        let Some(table) = &mut self.table else { return };
        let Some(answered) = table.pings.iter().rposition(|ping| *ping.payload == *payload) else { return };
        table.answered = table.pings.drain(..=answered).next_back().and_then(|ping| ping.sent);
        if !table.awaits_pong() {
            table.deadlines[Slot::Pong as usize] = None;
        }
    }

    pub(in crate::proto) fn latency(&self) -> Option<Duration> {
        self.table.as_deref()?.latency
    }

    pub(in crate::proto) fn last_received(&self) -> Option<Duration> {
        self.table.as_deref()?.last_received
    }
}

impl Table {
    /// Whether a keep-alive ping has left and was not answered.
    fn awaits_pong(&self) -> bool {
        self.pings.iter().any(|ping| ping.keep_alive && ping.sent.is_some())
    }
}

/// What waits behind a Close, or before it, has to leave at this pace: so many bytes, or all, within
/// [`Config::write_timeout`]. A peer that accepts a byte now and then would keep a connection that is ending for ever.
const MIN_PROGRESS: usize = 4 << 10;

/// A ping interval of zero would never let the caller sleep.
const MIN_INTERVAL: Duration = Duration::from_millis(1);
