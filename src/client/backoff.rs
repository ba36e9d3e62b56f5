//! How long a client waits before it connects again (RFC 6455 section 7.2.3). A pure value.

use core::time::Duration;

/// Truncated binary exponential backoff with jitter.
///
/// ```text
///   retry            1               2                  3                  4          at last
///   delay   0 ..= first   first ..= 2 first   2 first ..= 4 first   4 first ..= 8 first   max / 2 ..= max
/// ```
///
/// Each delay is random in its range, so that the clients of a server that comes back do not all come at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    /// The longest delay before the first new attempt. 5 s, as RFC 6455 section 7.2.3 proposes; zero is no delay at all,
    /// before any attempt.
    pub first: Duration,
    /// The longest delay before any, also where a server asks for more ([`Lost::retry_after`](super::Lost::retry_after)).
    /// 60 s.
    pub max: Duration,
    /// How many new attempts are made in a row; `None`, the default, is no limit.
    pub retries: Option<u32>,
    /// After a connection was open for so long, its loss counts as the first in a row. 60 s: a server that accepts, and
    /// fails soon after, is not asked ever more often.
    pub reset_after: Duration,
}

impl Backoff {
    /// The delay before this new attempt, of which 1 is the first in a row; `None` beyond [`retries`](Self::retries).
    /// `random` is uniform over all of `u64`, and picks the delay out of its range.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use bowsprit::client::Backoff;
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
        // RFC 6455 section 7.2.3: the first one random, later ones "increasingly longer".
        let factor = 1_u32.checked_shl(retry.saturating_sub(1)).unwrap_or(u32::MAX);
        let longest = self.first.saturating_mul(factor).min(self.max);
        let shortest = if retry > 1 { longest / 2 } else { Duration::ZERO };
        let range = u64::try_from((longest - shortest).as_nanos()).unwrap_or(u64::MAX);
        // The product of two `u64` is below 2^128, so its upper half fits.
        let jitter = u64::try_from((u128::from(range) * u128::from(random)) >> 64).unwrap_or(range);
        Some(shortest.saturating_add(Duration::from_nanos(jitter)))
    }
}

impl Default for Backoff {
    fn default() -> Self {
        let max = Duration::from_secs(60);
        Self { first: Duration::from_secs(5), max, retries: None, reset_after: max }
    }
}
