//! How long a client waits (RFC 6455 section 7.2.3).

use std::io::ErrorKind;
use std::time::Duration;

use bowsprit::client::{Backoff, Incident, Reconnecting, State};
use tokio::time::Instant;

use crate::support::{Answer, client, loses, opens, scripted};

const SECOND: Duration = Duration::from_secs(1);

/// The range of the delay before this new attempt, in seconds, by default.
fn range(retry: u32) -> (u32, u32) {
    match retry {
        1 => (0, 5),
        2 => (5, 10),
        3 => (10, 20),
        4 => (20, 40),
        _ => (30, 60),
    }
}

#[test]
fn every_delay_is_in_its_range_and_fills_it() {
    let backoff = Backoff::default();
    for retry in (1..=12).chain([31, 32, 33, 34, u32::MAX]) {
        let (low, high) = range(retry);
        let mut tenths = [0; 10];
        for step in 0..1_000_u64 {
            let delay = backoff.delay(retry, step * (u64::MAX / 999)).unwrap();
            assert!(SECOND * low <= delay && delay <= SECOND * high, "{delay:?} before attempt {retry}");
            let tenth = (delay - SECOND * low).as_millis() * 10 / (SECOND * (high - low)).as_millis();
            tenths[usize::try_from(tenth).unwrap().min(9)] += 1;
        }
        assert!(tenths.iter().all(|count| (99..=101).contains(count)), "attempt {retry}: {tenths:?}");
        assert_eq!(backoff.delay(retry, 0), Some(SECOND * low));
        assert!(backoff.delay(retry, u64::MAX).unwrap() > SECOND * high - Duration::from_millis(1));
    }
}

#[test]
fn bounds_that_are_no_bounds_overflow_nothing() {
    let backoff = Backoff { first: Duration::MAX, max: Duration::MAX, ..Backoff::default() };
    for retry in [0, 1, 2, u32::MAX] {
        for random in [0, 1, u64::MAX / 2, u64::MAX] {
            assert!(backoff.delay(retry, random).is_some());
        }
    }
    let none = Backoff { first: Duration::ZERO, ..Backoff::default() };
    assert_eq!(none.delay(7, u64::MAX), Some(Duration::ZERO));
    let short = Backoff { first: SECOND * 9, max: SECOND * 3, ..Backoff::default() };
    assert!((1..9).all(|retry| short.delay(retry, u64::MAX).unwrap() <= SECOND * 3));
}

#[test]
fn beyond_the_limit_there_is_no_delay() {
    let backoff = Backoff { retries: Some(3), ..Backoff::default() };
    assert!(backoff.delay(3, 0).is_some() && backoff.delay(4, 0).is_none());
    let never = Backoff { retries: Some(0), ..Backoff::default() };
    assert_eq!(never.delay(1, 0), None);
}

#[tokio::test(start_paused = true)]
async fn a_client_waits_so_long_before_each_attempt() {
    let mut first = Vec::new();
    for _ in 0..40 {
        let (mut client, script) = client([const { Answer::Fails(ErrorKind::ConnectionRefused) }; 7]);
        let start = Instant::now();
        let mut times = vec![Duration::ZERO];
        for retry in 1..=7 {
            let (_, delay) = loses(&mut client).await;
            let (low, high) = range(retry);
            assert!(SECOND * low <= delay && delay <= SECOND * high, "{delay:?} before attempt {retry}");
            assert_eq!(client.handle().state(), State::Waiting { retry, delay });
            times.push(start.elapsed() + delay);
            if retry == 1 {
                first.push(delay);
            }
        }
        assert_eq!(opens(&mut client).await, 7);
        let seen = script.seen.lock().unwrap();
        assert_eq!(seen.attempts.len(), times.len());
        for ((retry, at), time) in seen.attempts.iter().zip(times) {
            let late = (*at - start).checked_sub(time).expect("not too early");
            assert!(late <= Duration::from_millis(1) * (retry + 1), "attempt {retry} came {late:?} too late");
        }
    }
    // Of forty, the chance is one in 10^5 that none is in the lower or none in the upper quarter.
    assert!(first.iter().any(|delay| *delay < SECOND * 5 / 4) && first.iter().any(|delay| *delay > SECOND * 15 / 4));
}

#[tokio::test(start_paused = true)]
async fn so_many_attempts_in_a_row_are_enough() {
    let (plan, script) = scripted([const { Answer::Fails(ErrorKind::ConnectionRefused) }; 9]);
    let mut client = Reconnecting::new(plan).backoff(Backoff { retries: Some(2), ..Backoff::default() });
    loses(&mut client).await;
    loses(&mut client).await;
    let lost = client.next().await.unwrap_err();
    assert!(lost.is_temporary(), "{lost}");
    assert_eq!(script.attempts(), [0, 1, 2]);
    assert_eq!(client.handle().state(), State::Ended);
    assert!(client.next().await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_held_resets_the_count_and_a_short_one_does_not() {
    for (held, next) in [(59, 4), (60, 1), (3600, 1)] {
        let refused = Answer::Fails(ErrorKind::ConnectionRefused);
        let (mut client, mut script) = client([refused.clone(), refused.clone(), refused]);
        for _ in 0..3 {
            loses(&mut client).await;
        }
        assert_eq!(opens(&mut client).await, 3);
        let server = script.server().await;
        tokio::time::sleep(SECOND * held).await;
        drop(server);
        let Some(Incident::Lost { retry, .. }) = client.next().await.unwrap() else { panic!("it is lost") };
        assert_eq!(retry, next, "after {held} s");
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_waited_for_as_far_as_the_bound() {
    let answer = |field: &str| Answer::Says(format!("HTTP/1.1 503 No\r\nContent-Length: 0\r\n{field}\r\n"));
    for (field, low, high) in [
        ("Retry-After: 17\r\n", 17, 17),
        ("Retry-After: 0\r\n", 0, 5),
        ("Retry-After: 3600\r\n", 60, 60),
        ("Retry-After: 99999999999999999999\r\n", 0, 5),
        ("Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n", 0, 5),
        ("", 0, 5),
    ] {
        let (mut client, script) = client([answer(field)]);
        let start = Instant::now();
        let (_, delay) = loses(&mut client).await;
        assert!(SECOND * low <= delay && delay <= SECOND * high, "{field:?}: {delay:?}");
        opens(&mut client).await;
        assert!(start.elapsed() >= delay);
        assert_eq!(script.attempts(), [0, 1]);
    }
}
