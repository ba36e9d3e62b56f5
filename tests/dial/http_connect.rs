//! CONNECT (RFC 9110 section 9.3.6).

use std::sync::Arc;
use std::time::Duration;

use bowsprit::Config;
use bowsprit::dial::{ProxyError, Tunnel};
use bowsprit::driver::{Drive as _, Step, TransportError};
use bowsprit::handshake::HeadError;

use crate::sim::{Cut, START, Wire, drive, talk, talk_in_all_cuts, tunnel};

const OK: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

fn plain() -> Tunnel {
    tunnel("ws://example.com/chat?secret=1", "http://proxy.example")
}

#[test]
fn the_request_names_the_host_and_nothing_of_the_resource() {
    let talk = talk_in_all_cuts(plain, &[OK]);
    assert_eq!(talk.sent, [b"CONNECT example.com:80 HTTP/1.1\r\nHost: example.com:80\r\n\r\n".to_vec(), vec![]]);
    assert_eq!(talk.result, Ok(()));
}

#[test]
fn a_login_is_basic() {
    let talk = talk_in_all_cuts(|| tunnel("wss://h/", "https://me:p%40s:s@proxy.example"), &[OK]);
    // "me:p@s:s"
    let head = b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\nProxy-Authorization: Basic bWU6cEBzOnM=\r\n\r\n";
    assert_eq!(talk.sent[0], head);
}

#[test]
fn the_credentials_of_the_address_do_not_reach_the_proxy() {
    let talk = talk_in_all_cuts(|| tunnel("wss://u:p@h/", "http://proxy.example"), &[OK]);
    assert_eq!(talk.sent[0], b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n");
}

#[test]
fn an_ipv6_host_is_in_brackets_and_without_its_zone() {
    let talk = talk_in_all_cuts(|| tunnel("ws://[fe80::1%25eth0]:9001/", "http://proxy.example"), &[OK]);
    assert_eq!(talk.sent[0], b"CONNECT [fe80::1]:9001 HTTP/1.1\r\nHost: [fe80::1]:9001\r\n\r\n");
}

#[test]
fn every_2xx_opens_the_tunnel_whatever_its_head_says_of_a_body() {
    for reply in [
        OK,
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 \r\nContent-Length: 5\r\nVia: x\r\n\r\n",
        b"HTTP/1.1 299 Fine\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ] {
        assert_eq!(talk_in_all_cuts(plain, &[reply]).result, Ok(()), "{}", reply.escape_ascii());
    }
}

#[test]
fn every_other_status_is_a_refusal_with_its_body() {
    for (reply, text) in [
        (
            &b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 12\r\n\r\nlogin please"[..],
            "the proxy refused: 407 Proxy Authentication Required; Proxy-Authenticate: Basic realm=\"x\"; login please",
        ),
        (
            b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n<p>n\r\n1\r\no\r\n0\r\n\r\n",
            "the proxy refused: 403 Forbidden; <p>no",
        ),
        (b"HTTP/1.1 502 Bad\r\n\r\nuntil the end", "the proxy refused: 502 Bad Gateway; until the end"),
        (b"HTTP/1.1 302 x\r\nLocation: /login\r\n\r\n", "the proxy refused: 302 Found; Location: /login"),
        (b"HTTP/1.1 101 x\r\nUpgrade: y\r\n\r\n", "the proxy refused with status 101"),
        (b"HTTP/1.1 599 x\r\nContent-Length: 0\r\n\r\n", "the proxy refused with status 599"),
    ] {
        let error = talk_in_all_cuts(plain, &[reply]).result.expect_err("refused");
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn what_is_no_http_is_an_error() {
    for (reply, error) in [
        (&b"\x05\x00"[..], HeadError::Malformed),
        (b"SSH-2.0-x\r\n\r\n", HeadError::Malformed),
        (b"HTTP/1.1 200 OK\n\n", HeadError::Malformed),
        (b"HTTP/1.1 20 OK\r\n\r\n", HeadError::Malformed),
        (b"HTTP/2.0 200 OK\r\n\r\n", HeadError::Version),
        (b"\x15\x03\x01\x00\x02\x02\x46", HeadError::Tls),
    ] {
        assert_eq!(talk_in_all_cuts(plain, &[reply]).result, Err(ProxyError::Head(error)), "{}", reply.escape_ascii());
    }
}

#[test]
fn an_end_of_the_stream_at_any_byte_is_an_error() {
    for end in 0..OK.len() {
        let talk = talk(plain(), &[&OK[..end]], Cut::Nowhere);
        assert_eq!(talk.result, Err(ProxyError::Transport(TransportError::UnexpectedEof)), "after {end} bytes");
    }
}

#[test]
fn a_body_without_an_end_is_read_for_a_second() {
    let mut tunnel = plain();
    let mut wire = Wire::default();
    wire.reads.push_back(b"HTTP/1.1 407 No\r\n\r\nsome".to_vec());
    let until = START + Duration::from_secs(1);
    assert_eq!(drive(&mut tunnel, &mut wire, START), Step::Wait { read: true, write: false, until: Some(until) });
    assert_eq!(tunnel.poll_timeout(), Some(until));
    assert_eq!(drive(&mut tunnel, &mut wire, until), Step::Closed);
    assert!(matches!(tunnel.result(), Err(ProxyError::Refused(response)) if response.body() == b"some"));
}

#[test]
fn the_deadline_ends_a_silent_proxy() {
    let mut tunnel = plain();
    let mut wire = Wire::default();
    let until = START + Duration::from_secs(10);
    assert_eq!(drive(&mut tunnel, &mut wire, START), Step::Wait { read: true, write: false, until: Some(until) });
    assert_eq!(drive(&mut tunnel, &mut wire, until), Step::Closed);
    assert_eq!(tunnel.result(), Err(ProxyError::Timeout(Duration::from_secs(10))));
}

#[test]
fn without_a_deadline_nothing_ends_it() {
    let config = Arc::new(Config { handshake_timeout: None, ..Config::default() });
    let (server, proxy) = ("ws://h/".parse().expect("a URI"), "http://p".parse().expect("a proxy"));
    let mut tunnel = Tunnel::new(&server, None, &proxy, config, START);
    let mut wire = Wire::default();
    assert_eq!(drive(&mut tunnel, &mut wire, START), Step::Wait { read: true, write: false, until: None });
    assert_eq!(drive(&mut tunnel, &mut wire, Duration::MAX), Step::Wait { read: true, write: false, until: None });
}

#[test]
fn a_transport_that_fails_is_reported_with_its_own_error() {
    let failed = Err(ProxyError::Transport(TransportError::Failed));
    let mut reading = plain();
    drive(&mut reading, &mut Wire::default(), START);
    reading.read_failed(TransportError::Failed);
    assert_eq!(drive(&mut reading, &mut Wire::default(), START), Step::Closed);
    assert_eq!(reading.result(), failed);

    let mut writing = plain();
    assert_eq!(writing.poll(|| START), Step::Write);
    writing.write_failed(TransportError::Failed);
    let mut wire = Wire { ended: true, ..Wire::default() };
    assert_eq!(drive(&mut writing, &mut wire, START), Step::Closed);
    assert_eq!(writing.result(), failed);
}

#[test]
fn a_refusal_is_read_although_the_request_could_not_be_written() {
    let mut tunnel = plain();
    assert_eq!(tunnel.poll(|| START), Step::Write);
    tunnel.write_failed(TransportError::Failed);
    let mut wire = Wire::default();
    wire.reads.push_back(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n".to_vec());
    assert_eq!(drive(&mut tunnel, &mut wire, START), Step::Closed);
    assert!(matches!(tunnel.result(), Err(ProxyError::Refused(response)) if response.status() == 403));
}

#[test]
fn an_agreement_before_the_request_is_written_waits_for_the_rest_of_it() {
    let mut tunnel = plain();
    assert_eq!(tunnel.poll(|| START), Step::Write);
    tunnel.written(7);
    tunnel.write_blocked();
    assert_eq!(tunnel.poll(|| START), Step::Read);
    tunnel.read_buffer()[..OK.len()].copy_from_slice(OK);
    tunnel.received(OK.len());
    assert!(matches!(tunnel.poll(|| START), Step::Wait { read: false, write: true, .. }));
    let mut wire = Wire::default();
    assert_eq!(drive(&mut tunnel, &mut wire, START), Step::Ready);
    assert_eq!(wire.written, b" example.com:80 HTTP/1.1\r\nHost: example.com:80\r\n\r\n");
    assert_eq!(tunnel.result(), Ok(()));
}

#[test]
fn before_the_end_there_is_no_success() {
    let mut tunnel = plain();
    drive(&mut tunnel, &mut Wire::default(), START);
    assert_eq!(tunnel.result(), Err(ProxyError::Transport(TransportError::UnexpectedEof)));
}
