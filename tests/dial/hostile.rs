//! Proxies that attack (HOSTILE 54).

use std::time::Duration;

use bowsprit::dial::{DialOptions, ProxyChoice, ProxyError, Tunnel};
use bowsprit::driver::Step;
use bowsprit::handshake::HeadError;

use crate::sim::{Cut, START, Wire, agree, dial, drive, talk, travel, tunnel};

fn http() -> Tunnel {
    tunnel("ws://example.com/", "http://me:secret@p")
}

fn socks() -> Tunnel {
    tunnel("ws://example.com/", "socks5h://me:secret@p")
}

// HOSTILE: 54
#[test]
fn bytes_behind_the_agreement_are_refused() {
    let ok = b"HTTP/1.1 200 OK\r\n\r\n";
    let early = [&ok[..], b"HTTP/1.1 101 Switching Protocols\r\n"].concat();
    assert_eq!(talk(http(), &[&early], Cut::Nowhere).result, Err(ProxyError::EarlyBytes));
    let bound = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00\x81";
    let replies: [&[u8]; 3] = [b"\x05\x02", b"\x01\x00", bound];
    assert_eq!(talk(socks(), &replies, Cut::Nowhere).result, Err(ProxyError::EarlyBytes));
    // Cut behind the agreement, the tunnel is open before they arrive: they are then judged as the server's.
    assert_eq!(talk(http(), &[&early], Cut::After(ok.len())).result, Ok(()));
}

// HOSTILE: 54
#[test]
fn a_head_without_an_end_ends_at_its_bound() {
    let endless: [(&[u8], &[u8], HeadError); 4] = [
        (b"HTTP/1.1 200 OK\r\n", b"X: yyyyyyyyyyyy\r\n", HeadError::TooManyFields { limit: 100 }),
        (b"HTTP/1.1 200 OK\r\nX: ", b"xxxxxxxxxxxxxxxxxxxx", HeadError::TooLong { limit: 16 << 10 }),
        (b"HTTP/1.1 200 ", b"OKOKOKOKOKOKOKOKOKOK", HeadError::TooLong { limit: 16 << 10 }),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", HeadError::TooLong { limit: 16 << 10 }),
    ];
    for (start, more, error) in endless {
        let mut tunnel = http();
        let mut wire = Wire::default();
        wire.reads.push_back([start, more].concat());
        let mut received = 0;
        while drive(&mut tunnel, &mut wire, START) != Step::Closed {
            wire.reads.push_back(more.to_vec());
            received += more.len();
            assert!(received <= (16 << 10) + 100, "{error}");
        }
        assert_eq!(tunnel.result(), Err(ProxyError::Head(error)));
    }
}

// HOSTILE: 54
#[test]
fn a_trickle_ends_at_the_deadline() {
    for (mut tunnel, byte) in [(http(), b"H"), (socks(), b"\x05")] {
        let mut wire = Wire::default();
        wire.reads.push_back(byte.to_vec());
        for second in 0..10 {
            let now = START + Duration::from_secs(second);
            assert!(matches!(drive(&mut tunnel, &mut wire, now), Step::Wait { .. }));
        }
        assert_eq!(drive(&mut tunnel, &mut wire, START + Duration::from_secs(10)), Step::Closed);
        assert_eq!(tunnel.result(), Err(ProxyError::Timeout(Duration::from_secs(10))));
    }
}

// HOSTILE: 54
#[test]
fn a_refusal_with_a_body_that_never_ends_is_cut() {
    let mut tunnel = http();
    let mut wire = Wire::default();
    wire.reads.push_back(b"HTTP/1.1 407 No\r\n\r\n".to_vec());
    let mut sent = 0;
    while drive(&mut tunnel, &mut wire, START) != Step::Closed {
        wire.reads.push_back(vec![b'x'; 4_000]);
        sent += 4_000;
        assert!(sent <= 72_000, "read without an end");
    }
    let Err(ProxyError::Refused(response)) = tunnel.result() else { panic!("refused") };
    assert_eq!(response.body().len(), 64 << 10);
    assert!(ProxyError::Refused(response).to_string().len() < 400);
}

// HOSTILE: 54
#[test]
fn a_refusal_whose_body_always_goes_on_is_cut_after_a_second() {
    let mut tunnel = http();
    let mut wire = Wire::default();
    wire.reads.push_back(b"HTTP/1.1 407 No\r\n\r\n".to_vec());
    drive(&mut tunnel, &mut wire, START);
    for _ in 0..5 {
        let now = START + Duration::from_millis(999);
        wire.reads.push_back(b"x".to_vec());
        assert!(matches!(drive(&mut tunnel, &mut wire, now), Step::Wait { .. }));
    }
    wire.reads.extend(vec![b"x".to_vec(); 100]);
    assert_eq!(drive(&mut tunnel, &mut wire, START + Duration::from_secs(1)), Step::Closed);
    assert!(wire.reads.len() > 90, "it does not read on");
    assert!(matches!(tunnel.result(), Err(ProxyError::Refused(response)) if response.body().starts_with(b"xxxxx")));
}

// HOSTILE: 54
#[test]
fn nothing_of_the_login_leaks() {
    let proxies = ["http://me:s3cret@p", "https://me:s3cret@p", "socks5://me:s3cret@p", "socks5h://me:s3cret@p"];
    for proxy in proxies {
        let options = DialOptions {
            proxy: ProxyChoice::Always(proxy.parse().expect("a proxy")),
            redirects: 3,
            ..DialOptions::default()
        };
        let mut machine = dial("ws://u:hidden@h/x?token=t0ken", options);
        let tunnel = tunnel("ws://u:hidden@h/", proxy);
        let mut shown = format!("{machine:?} {tunnel:?} {:?}", machine.proxy());
        let trip = travel(&mut machine, |message| match message {
            [5, 2, 0, 2] => b"\x05\x02".to_vec(),
            [1, ..] => b"\x01\x00".to_vec(),
            [5, ..] => b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec(),
            _ if message.starts_with(b"CONNECT ") => b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
            _ if message.starts_with(b"GET /x") => {
                b"HTTP/1.1 302 x\r\nLocation: ws://other/\r\nContent-Length: 0\r\n\r\n".to_vec()
            }
            _ => b"HTTP/1.1 403 x\r\nContent-Length: 0\r\n\r\n".to_vec(),
        });
        let error = trip.result.expect_err("refused");
        shown.push_str(&format!("{machine:?} {error:?} {error} {:?} {}", trip.steps, trip.to_servers.join("")));
        // "me:s3cret" in base64
        for secret in ["s3cret", "bWU6czNjcmV0", "hidden"] {
            assert!(!shown.contains(secret), "{proxy}: {secret} in {shown}");
        }
        for message in &trip.to_proxies {
            for secret in ["token", "hidden", "dTpoaWRkZW4=", "/x"] {
                assert!(!message.contains(secret), "{proxy}: {message:?}");
            }
        }
        let authorized: Vec<bool> = trip.to_servers.iter().map(|head| head.contains("Authorization")).collect();
        assert_eq!(authorized, [true, false], "{proxy}");
    }
}

// HOSTILE: 54
#[test]
fn a_proxy_that_redirects_is_refused() {
    let options = DialOptions {
        proxy: ProxyChoice::Always("http://me:secret@p".parse().expect("a proxy")),
        redirects: 5,
        ..DialOptions::default()
    };
    let trip = travel(&mut dial("ws://h/", options), |_| {
        b"HTTP/1.1 302 x\r\nLocation: http://evil/\r\nContent-Length: 0\r\n\r\n".to_vec()
    });
    assert_eq!((trip.to_proxies.len(), trip.to_servers.len()), (1, 0));
    assert_eq!(
        trip.result.expect_err("refused").to_string(),
        "cannot reach h:80 through the proxy p:80: the proxy refused: 302 Found; Location: http://evil/"
    );
}

// HOSTILE: 54
#[test]
fn a_proxy_learns_nothing_more_before_it_has_agreed() {
    let mut socks = socks();
    let mut wire = Wire::default();
    drive(&mut socks, &mut wire, START);
    assert_eq!(wire.written, b"\x05\x02\x00\x02", "neither login nor host");
    wire.reads.push_back(b"\x05".to_vec());
    drive(&mut socks, &mut wire, START);
    assert_eq!(wire.written, b"\x05\x02\x00\x02");
}

// HOSTILE: 54
#[test]
fn no_head_is_broken_by_what_a_caller_gives() {
    for uri in ["ws://h/a b\"<>{}", "ws://u%20:p%22@h/?[x]=`", "ws://[fe80::1%25e-0]/^|"] {
        let trip = travel(&mut dial(uri, DialOptions::default()), agree);
        assert_eq!(trip.result, Ok(()));
        let head = &trip.to_servers[0];
        assert!(head.lines().next().is_some_and(|line| line.split(' ').count() == 3), "{head}");
    }
}

// HOSTILE: 54
#[test]
fn replies_of_random_bytes_neither_panic_nor_spin() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    let (mut opened, mut refused) = (0, 0);
    for round in 0..20_000 {
        let mut reply: Vec<u8> = (0..random() % 24).map(|_| random() % 7).collect();
        if round % 2 == 0 {
            reply.splice(..0, b"\x05\x00\x05\x00\x00".iter().copied());
        }
        match talk(socks(), &[&reply], Cut::Everywhere).result {
            Ok(()) => opened += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(opened > 0 && refused > 0, "{opened} opened, {refused} refused");
}
