//! How long a client waits (RFC 6455 section 7.2.3).

use std::io::ErrorKind;
use std::time::Duration;

use bowsprit::CloseCode;
use bowsprit::client::{Backoff, ClientEvent, Reconnecting, State};
use bowsprit::retry::{Loss, Retry};
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
async fn a_connection_that_worked_resets_the_count_and_another_one_does_not() {
    // With and without a message.
    for (held, message, next) in
        [(0, true, 4), (4, true, 4), (5, true, 1), (3600, true, 1), (5, false, 4), (59, false, 4), (60, false, 1)]
    {
        let refused = Answer::Fails(ErrorKind::ConnectionRefused);
        let (mut client, mut script) = client([refused.clone(), refused.clone(), refused]);
        for _ in 0..3 {
            loses(&mut client).await;
        }
        assert_eq!(opens(&mut client).await, 3);
        let mut server = script.server().await;
        if message {
            server.send("hello").await.unwrap();
            assert!(matches!(client.next().await.unwrap(), Some(ClientEvent::Message(..))));
        }
        tokio::time::sleep(SECOND * held).await;
        drop(server);
        let Some(ClientEvent::Disconnected { retry, .. }) = client.next().await.unwrap() else { panic!("it is lost") };
        assert_eq!(retry, next, "after {held} s, {message}");
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_waited_for_as_far_as_the_bound_and_spread() {
    let answer = |field: &str| Answer::Says(format!("HTTP/1.1 503 No\r\nContent-Length: 0\r\n{field}\r\n"));
    let in_17_s = httpdate::fmt_http_date(std::time::SystemTime::now() + SECOND * 17);
    for (field, low, high) in [
        ("Retry-After: 17\r\n", 17, 26),
        // Whole seconds, and the seconds that the test takes to get here.
        (&*format!("Retry-After: {in_17_s}\r\n"), 5, 26),
        ("Retry-After: 0\r\n", 0, 5),
        ("Retry-After: 3600\r\n", 60, 90),
        ("Retry-After: 99999999999999999999\r\n", 0, 5),
        ("Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n", 0, 5),
        ("Retry-After: soon\r\n", 0, 5),
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

/// How many clients of 200 return in the fullest second, and the seconds in which some do.
fn fullest(delays: &[Duration]) -> (usize, usize) {
    let mut seconds = std::collections::BTreeMap::<u64, usize>::new();
    for delay in delays {
        *seconds.entry(delay.as_secs()).or_default() += 1;
    }
    (*seconds.values().max().unwrap(), seconds.len())
}

// HOSTILE: 45
#[tokio::test(start_paused = true)]
async fn two_hundred_clients_do_not_return_at_once() {
    let (mut asked, mut restarted) = (Vec::new(), Vec::new());
    for _ in 0..200 {
        let (mut client, mut script) =
            client([Answer::Says("HTTP/1.1 503 No\r\nContent-Length: 0\r\nRetry-After: 8\r\n\r\n".into())]);
        let (_, delay) = loses(&mut client).await;
        assert!(delay >= SECOND * 8, "{delay:?}");
        asked.push(delay);
        // The server works for a minute, and restarts.
        opens(&mut client).await;
        let mut server = script.server().await;
        server.send("hello").await.unwrap();
        assert!(matches!(client.next().await.unwrap(), Some(ClientEvent::Message(..))));
        tokio::time::sleep(SECOND * 60).await;
        tokio::spawn(server.close(Some(CloseCode::SERVICE_RESTART.into())));
        let (_, delay) = loses(&mut client).await;
        assert!(delay <= SECOND * 2, "{delay:?}");
        restarted.push(delay);
    }
    for (delays, seconds) in [(asked, 5), (restarted, 2)] {
        let (most, spread) = fullest(&delays);
        assert_eq!(spread, seconds);
        assert!(most * 2 * seconds <= 200 * 5, "{most} of 200 return in one second");
    }
}

// HOSTILE: 53
#[tokio::test(start_paused = true)]
async fn a_server_that_recycles_each_55_seconds_costs_a_client_little() {
    for code in [CloseCode::GOING_AWAY, CloseCode::SERVICE_RESTART] {
        let (plan, mut script) = scripted([]);
        let mut client = Reconnecting::new(plan).backoff(Backoff { retries: Some(2), ..Backoff::default() });
        let (start, mut away) = (Instant::now(), Duration::ZERO);
        while start.elapsed() < SECOND * 3600 {
            opens(&mut client).await;
            let mut server = script.server().await;
            server.send("hello").await.unwrap();
            assert!(matches!(client.next().await.unwrap(), Some(ClientEvent::Message(..))));
            tokio::time::sleep(SECOND * 55).await;
            tokio::spawn(server.close(Some(code.into())));
            away += loses(&mut client).await.1;
        }
        assert!(away <= SECOND * 3600 / 20, "away for {away:?} of an hour");
    }
    // One that vanishes, over a hundred hours: the schedule alone, with evenly distributed delays.
    let mut retry = Retry::new(Backoff { retries: Some(2), ..Backoff::default() });
    let (mut now, mut away, mut random) = (Duration::ZERO, Duration::ZERO, 0_u64);
    while now < SECOND * 360_000 {
        retry.opened(now);
        retry.received();
        now += SECOND * 55;
        random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let delay = retry.lost(Loss::Failed, now, random).expect("attempts are not used up");
        (now, away) = (now + delay, away + delay);
    }
    assert!(away <= now / 20, "away for {away:?} of {now:?}");
}

#[test]
fn a_server_that_flaps_is_asked_less_and_less_often() {
    let mut retry = Retry::new(Backoff::default());
    let mut now = Duration::ZERO;
    for attempt in 1..=20 {
        retry.opened(now);
        retry.received();
        now += SECOND;
        // Also one that says that it restarts.
        let loss = if attempt % 2 == 0 { Loss::Failed } else { Loss::GoingAway };
        let delay = retry.lost(loss, now, u64::MAX / 2).unwrap();
        assert_eq!(retry.attempt(), attempt);
        assert!(attempt < 5 || delay >= SECOND * 30, "{delay:?} before attempt {attempt}");
        now += delay;
    }
}
