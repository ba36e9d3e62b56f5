//! When a client connects again after a loss, and when it gives up (RFC 6455 section 7.2.3).
//!
//! Pure values: no clock, no socket and no random source, so that every adapter can follow them and a test can replay them.
//! [`Backoff`] gives the delay before one attempt; [`Retry`] counts the attempts, and determines when the count starts anew.
//! [`client::Reconnecting`](crate::client::Reconnecting) follows them on tokio. A loop over a blocking connection:
//!
//! ```
//! use std::time::Duration;
//!
//! use bowsprit::retry::{Backoff, Loss, Retry};
//!
//! let mut retry = Retry::new(Backoff { retries: Some(2), ..Backoff::default() });
//! let random = 0x8000_0000_0000_0000; // from the system's random source
//!
//! // The first attempt fails: `now` is a time since an origin of your choice.
//! let delay = retry.lost(Loss::Failed, Duration::ZERO, random).expect("two more attempts");
//! assert_eq!(delay, Duration::from_millis(2_500)); // the middle of 0 s to 5 s
//!
//! // The second one succeeds, a message arrives, and the server restarts a minute later.
//! let now = Duration::from_secs(3);
//! retry.opened(now);
//! retry.received();
//! let delay = retry.lost(Loss::GoingAway, now + Duration::from_secs(60), random).expect("the count started anew");
//! assert_eq!((retry.attempt(), delay), (1, Duration::from_secs(1)));
//! ```

use core::time::Duration;

/// Truncated binary exponential backoff with jitter.
///
/// ```text
///   attempt         1               2                  3                  4          finally
///   delay   0 ..= first   first ..= 2 first   2 first ..= 4 first   4 first ..= 8 first   max / 2 ..= max
/// ```
///
/// Each delay is random in its range, so that the clients of a server that restarts do not all return at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    /// The longest delay before the first new attempt. 5 s, as RFC 6455 section 7.2.3 proposes; with zero there is no delay
    /// before any attempt, unless the server asks for one.
    pub first: Duration,
    /// The longest delay before any attempt. 60 s. If the server asks for more ([`Loss::RetryAfter`]), it gets this, and
    /// up to half as much of jitter.
    pub max: Duration,
    /// The number of new attempts in a row before the client gives up; `None`, the default, is no limit.
    pub retries: Option<u32>,
    /// The age at which a connection counts as a working one, if something was received over it (a message, or the Pong to
    /// a keep-alive ping): its loss is the first in a row. 5 s. Without anything received, a connection counts as a working
    /// one after 60 s, or after this time if it is longer.
    ///
    /// A server that accepts connections and fails soon after is therefore asked less and less often; a server that
    /// recycles its connections each minute costs its clients the first, short delay only.
    pub reset_after: Duration,
}

impl Backoff {
    /// The delay before this new attempt, of which 1 is the first in a row; `None` after [`retries`](Self::retries)
    /// attempts. `random` is uniform over all of `u64`, and determines the delay within its range.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use bowsprit::retry::Backoff;
    ///
    /// let backoff = Backoff::default();
    /// assert_eq!(backoff.delay(1, 0), Some(Duration::ZERO));
    /// assert_eq!(backoff.delay(3, 1 << 63), Some(Duration::from_secs(15))); // the middle of 10 s to 20 s
    /// ```
    #[must_use]
    pub fn delay(&self, retry: u32, random: u64) -> Option<Duration> {
        if self.retries.is_some_and(|retries| retry > retries) {
            return None;
        }
        // RFC 6455 section 7.2.3: the first delay is random, later ones are "increasingly longer".
        let factor = 1_u32.checked_shl(retry.saturating_sub(1)).unwrap_or(u32::MAX);
        let longest = self.first.saturating_mul(factor).min(self.max);
        let shortest = if retry > 1 { longest / 2 } else { Duration::ZERO };
        Some(shortest.saturating_add(jitter(longest - shortest, random)))
    }
}

impl Default for Backoff {
    fn default() -> Self {
        let first = Duration::from_secs(5);
        Self { first, max: Duration::from_secs(60), retries: None, reset_after: first }
    }
}

/// The schedule of a client that reconnects: counts the attempts in a row, and determines when the next one comes.
#[derive(Clone, Debug)]
pub struct Retry {
    backoff: Backoff,
    /// The attempt that is under way, or opened the connection.
    attempt: u32,
    /// When the connection opened, while there is one.
    opened: Option<Duration>,
    /// Something was received over it.
    received: bool,
}

/// Why there is no connection, as far as it matters for the next attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Loss {
    /// An attempt failed, or a connection was lost.
    Failed,
    /// The server refused the attempt, and asked to wait for this long (RFC 9110 section 10.2.3).
    RetryAfter(Duration),
    /// The server closed the connection because it goes away or restarts (1001 or 1012): it is expected back soon.
    GoingAway,
}

impl Retry {
    /// A schedule whose next attempt is the first of all.
    #[must_use]
    pub const fn new(backoff: Backoff) -> Self {
        Self { backoff, attempt: 0, opened: None, received: false }
    }

    /// The number of the attempt that is under way, comes next, or opened the connection: 0 is the first of all, every other
    /// number counts in a row.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The attempt opened a connection. `now` is a time since an origin of the caller's choice.
    pub const fn opened(&mut self, now: Duration) {
        self.opened = Some(now);
        self.received = false;
    }

    /// Something was received over the connection: a message, or the Pong to a ping.
    pub const fn received(&mut self) {
        self.received = true;
    }

    /// The attempt failed, or the connection was lost. Returns the delay before the next attempt, or `None` to give up.
    /// `random` is uniform over all of `u64`.
    pub fn lost(&mut self, loss: Loss, now: Duration, random: u64) -> Option<Duration> {
        if let Some(opened) = self.opened.take() {
            let age = now.saturating_sub(opened);
            let Backoff { reset_after, .. } = self.backoff;
            if age >= if self.received { reset_after } else { reset_after.max(SILENT_RESET) } {
                self.attempt = 0;
            }
        }
        self.attempt = self.attempt.saturating_add(1);
        let Backoff { first, max, .. } = self.backoff;
        let delay = self.backoff.delay(self.attempt, random)?;
        Some(match loss {
            Loss::GoingAway if self.attempt == 1 => jitter(first.min(RESTART), random),
            Loss::Failed | Loss::GoingAway => delay,
            Loss::RetryAfter(asked) => {
                // All clients that were refused at once got the same answer: they are spread over the time after it.
                let asked = asked.min(max);
                delay.max(asked.saturating_add(jitter(first.max(asked / 2).min(max / 2), random)))
            }
        })
    }
}

/// A part of `range`.
fn jitter(range: Duration, random: u64) -> Duration {
    let range = u64::try_from(range.as_nanos()).unwrap_or(u64::MAX);
    // The product of two `u64` is below 2^128, so its upper half fits.
    Duration::from_nanos(u64::try_from((u128::from(range) * u128::from(random)) >> 64).unwrap_or(range))
}

/// The time over which clients are spread that return to a server which goes away on purpose.
const RESTART: Duration = Duration::from_secs(2);

/// The age at which a connection counts as a working one although nothing was received over it.
const SILENT_RESET: Duration = Duration::from_secs(60);
