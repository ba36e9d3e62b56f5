//! SOCKS5 (RFC 1928) and its login (RFC 1929).

use std::sync::Arc;
use std::time::Duration;

use bowsprit::Config;
use bowsprit::dial::{ProxyError, SocksError, Tunnel};
use bowsprit::driver::{Step, TransportError};

use crate::sim::{Cut, START, Wire, drive, talk, talk_in_all_cuts, tunnel};

const NO_LOGIN: &[u8] = b"\x05\x00";
const LOGIN: &[u8] = b"\x05\x02";
const WELCOME: &[u8] = b"\x01\x00";
const OK: &[u8] = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x1f\x90";

fn plain() -> Tunnel {
    tunnel("ws://example.com/", "socks5h://proxy.example")
}

fn with_login() -> Tunnel {
    tunnel("ws://example.com/", "socks5h://me:s%20cret@proxy.example")
}

#[test]
fn without_login_the_proxy_resolves_the_name() {
    let talk = talk_in_all_cuts(plain, &[NO_LOGIN, OK]);
    assert_eq!(talk.sent, [b"\x05\x01\x00".to_vec(), b"\x05\x01\x00\x03\x0bexample.com\x00\x50".to_vec(), vec![]]);
    assert_eq!(talk.result, Ok(()));
}

#[test]
fn a_login_is_offered_beside_none() {
    let talk = talk_in_all_cuts(with_login, &[LOGIN, WELCOME, OK]);
    assert_eq!(
        talk.sent,
        [
            b"\x05\x02\x00\x02".to_vec(),
            b"\x01\x02me\x06s cret".to_vec(),
            b"\x05\x01\x00\x03\x0bexample.com\x00\x50".to_vec(),
            vec![]
        ]
    );
    assert_eq!(talk.result, Ok(()));
}

#[test]
fn a_proxy_that_wants_no_login_does_not_get_the_password() {
    let talk = talk_in_all_cuts(with_login, &[NO_LOGIN, OK]);
    assert_eq!(talk.sent[1], b"\x05\x01\x00\x03\x0bexample.com\x00\x50");
    assert_eq!(talk.result, Ok(()));
}

#[test]
fn user_name_and_password_may_have_255_bytes() {
    let proxy = format!("socks5h://{}:{}@p", "u".repeat(255), "p".repeat(255));
    let talk = talk_in_all_cuts(|| tunnel("ws://example.com/", &proxy), &[LOGIN, WELCOME, OK]);
    assert_eq!(talk.sent[1], [b"\x01\xff", &[b'u'; 255][..], b"\xff", &[b'p'; 255]].concat());
    assert_eq!(talk.result, Ok(()));
}

#[test]
fn an_address_is_sent_as_one() {
    for (server, sent) in [
        ("ws://192.0.2.1:9001/", &b"\x05\x01\x00\x01\xc0\x00\x02\x01\x23\x29"[..]),
        (
            "wss://[2001:db8::1]/",
            b"\x05\x01\x00\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01\xbb",
        ),
    ] {
        let talk = talk_in_all_cuts(|| tunnel(server, "socks5h://p"), &[NO_LOGIN, OK]);
        assert_eq!(talk.sent[1], sent, "{server}");
    }
}

#[test]
fn socks5_sends_the_resolved_address_and_socks5h_the_name() {
    let run = |proxy: &str| {
        let make = || {
            let (server, proxy) = ("wss://example.com/".parse().expect("a URI"), proxy.parse().expect("a proxy"));
            let address = "192.0.2.9:443".parse().ok();
            Tunnel::new(&server, address, &proxy, Arc::new(Config::default()), START)
        };
        talk_in_all_cuts(make, &[NO_LOGIN, OK]).sent.swap_remove(1)
    };
    assert_eq!(run("socks5://p"), b"\x05\x01\x00\x01\xc0\x00\x02\x09\x01\xbb");
    assert_eq!(run("socks5h://p"), b"\x05\x01\x00\x03\x0bexample.com\x01\xbb");
}

#[test]
fn the_longest_name_fits() {
    let host = "a".repeat(255);
    let talk = talk_in_all_cuts(|| tunnel(&format!("ws://{host}/"), "socks5h://p"), &[NO_LOGIN, OK]);
    assert_eq!(talk.sent[1], [b"\x05\x01\x00\x03\xff", host.as_bytes(), b"\x00\x50"].concat());
}

#[test]
fn bound_addresses_of_all_types_are_read() {
    let name = [b"\x05\x00\x00\x03\xff", &[b'x'; 255][..], b"\x00\x50"].concat();
    for reply in [
        OK,
        b"\x05\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x1f\x90",
        b"\x05\x00\x00\x03\x09localhost\x1f\x90",
        b"\x05\x00\x00\x03\x00\x1f\x90",
        b"\x05\x00\xff\x01\x00\x00\x00\x00\x00\x00",
        &name,
    ] {
        assert_eq!(talk_in_all_cuts(plain, &[NO_LOGIN, reply]).result, Ok(()), "{}", reply.escape_ascii());
        for end in 0..reply.len() {
            let talk = talk(plain(), &[NO_LOGIN, &reply[..end]], Cut::Nowhere);
            assert_eq!(talk.result, Err(ProxyError::Transport(TransportError::UnexpectedEof)), "after {end} bytes");
        }
    }
}

#[test]
fn every_reply_code_is_told_in_words() {
    for (code, text) in [
        (1, "general failure of the SOCKS server (reply 1)"),
        (2, "connection not allowed by its rules (reply 2)"),
        (3, "network unreachable (reply 3)"),
        (4, "host unreachable (reply 4)"),
        (5, "connection refused (reply 5)"),
        (6, "time to live expired (reply 6)"),
        (7, "command not supported (reply 7)"),
        (8, "address type not supported (reply 8)"),
        (9, "failure without a registered meaning (reply 9)"),
        (255, "failure without a registered meaning (reply 255)"),
    ] {
        let reply = [5, code, 0, 1, 0, 0, 0, 0, 0, 0];
        let error = talk_in_all_cuts(plain, &[NO_LOGIN, &reply]).result.expect_err("refused");
        assert_eq!(error, ProxyError::Socks(SocksError::Reply(code)));
        assert_eq!(error.to_string(), text);
        // The rest of the reply is not waited for.
        assert_eq!(talk(plain(), &[NO_LOGIN, &reply[..2]], Cut::Nowhere).result, Err(error));
    }
}

#[test]
fn what_breaks_the_rules_is_an_error() {
    use SocksError::{AddressType, Login, Method, NoMethod, Version};
    type Row<'a> = (fn() -> Tunnel, &'a [&'a [u8]], SocksError, &'a str);
    let rows: [Row<'_>; 10] = [
        (plain, &[b"\x05\xff"], NoMethod { offered_login: false }, "it requires a user name and a password"),
        (
            with_login,
            &[b"\x05\xff"],
            NoMethod { offered_login: true },
            "it accepts neither a login with a password nor none",
        ),
        (plain, &[LOGIN], Method(2), "it chose the login method 0x02, which was not offered"),
        (with_login, &[b"\x05\x01"], Method(1), "it chose the login method 0x01, which was not offered"),
        (plain, &[b"\x04\x00"], Version(4), "it does not speak SOCKS5: the first byte of its message is 0x04"),
        (plain, &[b"HTTP/1.1 400 "], Version(b'H'), "it speaks HTTP and not SOCKS5: the scheme may be http://"),
        (with_login, &[LOGIN, b"\x01\x01"], Login(1), "it refused the user name or the password (status 1)"),
        (
            with_login,
            &[LOGIN, b"\x05\x00"],
            Version(5),
            "it does not speak SOCKS5: the first byte of its message is 0x05",
        ),
        (
            plain,
            &[NO_LOGIN, b"\x00\x5a"],
            Version(0),
            "it does not speak SOCKS5: the first byte of its message is 0x00",
        ),
        (plain, &[NO_LOGIN, b"\x05\x00\x00\x02"], AddressType(2), "its reply holds an address of the unknown type 2"),
    ];
    for (tunnel, replies, error, text) in rows {
        let result = talk_in_all_cuts(tunnel, replies).result;
        assert_eq!(result, Err(ProxyError::Socks(error)));
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn an_end_of_the_stream_at_any_byte_is_an_error() {
    let replies = [LOGIN, WELCOME, OK];
    for whole in 0..replies.len() {
        for end in 0..replies[whole].len() {
            let mut replies = replies[..=whole].to_vec();
            replies[whole] = &replies[whole][..end];
            let result = talk(with_login(), &replies, Cut::Nowhere).result;
            assert_eq!(result, Err(ProxyError::Transport(TransportError::UnexpectedEof)), "reply {whole}, byte {end}");
        }
    }
}

#[test]
fn one_deadline_is_over_all_messages() {
    let mut tunnel = with_login();
    let mut wire = Wire::default();
    for (seconds, reply) in [(0, LOGIN), (4, WELCOME), (8, &OK[..9])] {
        wire.reads.push_back(reply.to_vec());
        let step = drive(&mut tunnel, &mut wire, START + Duration::from_secs(seconds));
        assert!(matches!(step, Step::Wait { until: Some(until), .. } if until == START + Duration::from_secs(10)));
    }
    assert_eq!(drive(&mut tunnel, &mut wire, START + Duration::from_secs(10)), Step::Closed);
    assert_eq!(tunnel.result(), Err(ProxyError::Timeout(Duration::from_secs(10))));
}
