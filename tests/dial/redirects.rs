//! Redirects: which are followed, with what, and how often.

use bowsprit::HandshakeError;
use bowsprit::dial::{DialFailure, DialOptions, DialStep, RedirectError};
use bowsprit::driver::OpeningError;

use crate::sim::{START, Trip, agree, dial, request, travel};

/// Answers requests for each of these paths with this status and `Location`; all others with 101.
fn site<'a>(rows: &'a [(&'a str, u16, &'a str)]) -> impl Fn(&[u8]) -> Vec<u8> + 'a {
    move |message| {
        let head = std::str::from_utf8(message).expect("a head is text");
        let path = head.split(' ').nth(1).expect("a target");
        match rows.iter().find(|row| row.0 == path) {
            Some((_, status, location)) => {
                format!("HTTP/1.1 {status} x\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n").into_bytes()
            }
            None => agree(message),
        }
    }
}

fn follow(uri: &str, redirects: u32, rows: &[(&str, u16, &str)]) -> Trip {
    travel(&mut dial(uri, DialOptions { redirects, ..DialOptions::default() }), site(rows))
}

/// Host and path of each request.
fn visited(trip: &Trip) -> Vec<String> {
    let host = |head: &str| head.lines().find_map(|line| line.strip_prefix("Host: ").map(str::to_owned));
    trip.to_servers.iter().map(|head| host(head).expect("a host") + head.split(' ').nth(1).expect("a target")).collect()
}

#[test]
fn they_are_off_by_default_and_the_refusal_names_the_location() {
    let trip = follow("ws://a/x", 0, &[("/x", 302, "/login")]);
    assert_eq!(visited(&trip), ["a/x"]);
    let error = trip.result.expect_err("refused");
    assert!(matches!(error.failure(), DialFailure::Opening(OpeningError::Handshake(HandshakeError::Refused(_)))));
    assert_eq!(error.to_string(), "cannot open a WebSocket at a:80: the server refused: 302 Found; Location: /login");
}

#[test]
fn each_status_of_a_redirect_is_followed() {
    for status in [301, 302, 303, 307, 308] {
        let trip = follow("ws://a/x", 1, &[("/x", status, "/y")]);
        assert_eq!(visited(&trip), ["a/x", "a/y"], "{status}");
        assert_eq!(trip.result, Ok(()));
    }
    for status in [300, 304, 305, 306, 309, 200, 401] {
        let trip = follow("ws://a/x", 1, &[("/x", status, "/y")]);
        assert_eq!(visited(&trip), ["a/x"], "{status}");
        assert!(matches!(trip.result, Err(error) if matches!(error.failure(), DialFailure::Opening(_))));
    }
}

#[test]
fn a_redirect_dials_anew() {
    let trip = follow("ws://a/x", 3, &[("/x", 307, "https://b:8443/y"), ("/y", 301, "z")]);
    assert_eq!(
        trip.steps,
        [
            "resolve a (the server)",
            "connect to 192.0.2.1:80 (the server)",
            "ask the server for the upgrade",
            "resolve b (the server)",
            "connect to 192.0.2.1:8443 (the server)",
            "establish TLS with b (the server)",
            "ask the server for the upgrade",
            "resolve b (the server)",
            "connect to 192.0.2.1:8443 (the server)",
            "establish TLS with b (the server)",
            "ask the server for the upgrade",
        ]
    );
    assert_eq!(visited(&trip), ["a/x", "b:8443/y", "b:8443/z"]);
}

#[test]
fn a_loop_ends_at_the_limit() {
    let trip = follow("ws://a/x", 3, &[("/x", 302, "/x")]);
    assert_eq!(visited(&trip), ["a/x"; 4]);
    let error = trip.result.expect_err("a loop");
    assert_eq!(*error.failure(), DialFailure::Redirect(RedirectError::TooMany { limit: 3, location: "/x".into() }));
    assert_eq!(
        error.to_string(),
        "cannot open a WebSocket at a:80: the server redirects to /x: 3 redirects were followed, which is the limit"
    );
}

#[test]
fn as_many_as_the_limit_are_followed() {
    let rows = [("/1", 302, "/2"), ("/2", 302, "/3")];
    assert_eq!(follow("ws://a/1", 2, &rows).result, Ok(()));
    assert!(follow("ws://a/1", 1, &rows).result.is_err());
}

#[test]
fn from_tls_to_plain_text_is_refused() {
    for location in ["ws://a/y", "http://a/y", "http://b/"] {
        let trip = follow("wss://a/x", 5, &[("/x", 302, location)]);
        assert_eq!(visited(&trip), ["a/x"]);
        assert_eq!(
            trip.result.expect_err("insecure").to_string(),
            format!(
                "cannot open a WebSocket at a:443: the server redirects to {location}: from TLS (wss) to plain text (ws) is \
                 refused"
            )
        );
    }
}

#[test]
fn a_location_that_is_none_is_an_error() {
    let trip = follow("ws://a/x", 5, &[("/x", 302, "ftp://b/")]);
    assert_eq!(
        trip.result.expect_err("no WebSocket").to_string(),
        "cannot open a WebSocket at a:80: the server redirects to ftp://b/: the address does not begin with ws:// or wss://"
    );
    for head in [
        "HTTP/1.1 302 x\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 302 x\r\nLocation: /a\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n",
    ] {
        let options = DialOptions { redirects: 5, ..DialOptions::default() };
        let trip = travel(&mut dial("ws://a/x", options), |_| head.as_bytes().to_vec());
        let error = trip.result.expect_err("no Location");
        assert_eq!(*error.failure(), DialFailure::Redirect(RedirectError::NoLocation));
    }
    let trip = travel(&mut dial("ws://a/x", DialOptions { redirects: 5, ..DialOptions::default() }), |_| {
        b"HTTP/1.1 302 x\r\nLocation: /\xff\r\nContent-Length: 0\r\n\r\n".to_vec()
    });
    assert!(trip.result.is_err());
}

/// Which of the fields that are for one origin alone reach each request.
fn credentials(uri: &str, location: &str) -> Vec<Vec<&'static str>> {
    let request = request(uri)
        .header("Authorization", "Bearer secret")
        .and_then(|request| request.header("cookie", "id=secret"))
        .and_then(|request| request.header("Proxy-Authorization", "Basic c2VjcmV0"))
        .and_then(|request| request.header("X-Trace", "1"))
        .expect("headers");
    let options = DialOptions { redirects: 5, ..DialOptions::default() };
    let mut dial = bowsprit::dial::Dial::new(request, options.into(), Default::default(), START);
    let trip = travel(&mut dial, site(&[("/x", 307, location)]));
    assert_eq!(trip.result, Ok(()), "{location}");
    let names = ["Authorization: ", "cookie: ", "Proxy-Authorization: ", "X-Trace: "];
    let lines = |head: &String| {
        names.into_iter().filter(|name| head.lines().any(|line| line.starts_with(name))).collect::<Vec<_>>()
    };
    trip.to_servers.iter().map(lines).collect()
}

// HOSTILE: 22
#[test]
fn credentials_stay_within_their_origin() {
    let all = ["Authorization: ", "cookie: ", "Proxy-Authorization: ", "X-Trace: "].to_vec();
    for same in ["/y", "y", "http://a/y", "ws://A:80/y", "//a/y", "ws://x:y@a/y"] {
        assert_eq!(credentials("ws://a/x", same), [all.clone(), all.clone()], "{same}");
    }
    for other in ["//b/y", "ws://a:81/y", "wss://a/y", "wss://a:80/y", "ws://sub.a/y", "ws://a./y", "ws://x:y@b/y"] {
        assert_eq!(credentials("ws://a/x", other), [all.clone(), vec!["X-Trace: "]], "{other}");
    }
}

// HOSTILE: 22
#[test]
fn credentials_that_were_dropped_do_not_come_back() {
    let request = request("ws://a/x").bearer_auth("secret").expect("a token");
    let options = DialOptions { redirects: 5, ..DialOptions::default() };
    let mut dial = bowsprit::dial::Dial::new(request, options.into(), Default::default(), START);
    let trip = travel(&mut dial, site(&[("/x", 302, "ws://b/y"), ("/y", 302, "ws://a/z")]));
    assert_eq!(visited(&trip), ["a/x", "b/y", "a/z"]);
    let with: Vec<bool> = trip.to_servers.iter().map(|head| head.contains("secret")).collect();
    assert_eq!(with, [true, false, false]);
}

// HOSTILE: 22
#[test]
fn user_information_stays_within_its_origin() {
    let sent = |location: &str| {
        let trip = follow("ws://u:p@a/x", 1, &[("/x", 302, location)]);
        assert_eq!(trip.result, Ok(()));
        let authorized = |head: &String| head.contains("Authorization: Basic dTpw\r\n");
        assert!(!trip.to_servers[1].contains("Authorization") || authorized(&trip.to_servers[1]));
        trip.to_servers.iter().map(authorized).collect::<Vec<_>>()
    };
    assert_eq!(sent("/y"), [true, true]);
    assert_eq!(sent("ws://a/y"), [true, true]);
    assert_eq!(sent("ws://x:y@a/y"), [true, true], "the server does not choose how to log in");
    assert_eq!(sent("ws://b/y"), [true, false]);
    assert_eq!(sent("ws://x:y@b/y"), [true, false]);
    assert_eq!(sent("wss://a/y"), [true, false]);
}

#[test]
fn one_deadline_is_over_all_redirects() {
    let mut dial = dial("ws://192.0.2.1/x", DialOptions { redirects: 50, ..DialOptions::default() });
    let mut hops = 0;
    for second in 0.. {
        let now = START + std::time::Duration::from_secs(second);
        let DialStep::Connect { attempt, .. } = dial.poll(now) else { break };
        assert!(dial.connected(attempt));
        assert_eq!(dial.poll(now), DialStep::Upgrade);
        let mut connecting = dial.connecting([7; 16]);
        let mut wire = crate::sim::Wire::default();
        wire.reads.push_back(b"HTTP/1.1 302 x\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n".to_vec());
        crate::sim::drive(&mut connecting, &mut wire, now);
        dial.upgrade_failed(connecting.result().expect_err("a redirect"));
        hops += 1;
    }
    assert_eq!(hops, 10);
    let DialStep::Failed(error) = dial.poll(START + std::time::Duration::from_secs(10)) else { panic!("too late") };
    assert_eq!(error.to_string(), "cannot connect to 192.0.2.1:80: not complete after 10s");
}
