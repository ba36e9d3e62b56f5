//! Group F: the grammar of subprotocols, extensions and versions (RFC 6455 sections 4.3 and 9.1).

use bowsprit::extension::grammar::{Element, MalformedExtensions, Param, parse};
use bowsprit::handshake::RequestError;
use bowsprit::handshake::ResponseError;
use bowsprit::{Config, Connection, HandshakeError, Message, Messages, ProtocolError, Role};
use bytes::BytesMut;

use super::{REQUEST, RESPONSE, answer, plain_request, receive, request, response, with};
use crate::harness::{Log, ROLES};

pub(crate) fn rows(log: &mut Log) {
    // REQ: WS-9.1-01
    for bad in [
        ";a", "a;", "a;;b", "a=b", "a; =1", "a; b=", "a; b=@", "a b", "a; b c", "a, b c", "a; b=c d", "\"a\"",
        "\u{fc}", "a;\"b\"",
    ] {
        malformed(bad);
    }
    assert_eq!(extensions(&["a; b; c=d, e"]), [extension("a", &[("b", None), ("c", Some("d"))]), extension("e", &[])]);
    proved_both(log, "WS-9.1-01");

    // REQ: WS-9.1-02
    let ten = [extension("permessage-deflate", &[("client_max_window_bits", Some("10"))])];
    for value in ["10", "\"10\"", "\"1\\0\"", "\"\\1\\0\""] {
        assert_eq!(extensions(&[&format!("permessage-deflate; client_max_window_bits={value}")]), ten, "{value}");
    }
    for bad in
        ["\"\"", "\"1 0\"", "\"a,b\"", "\"10", "\"", "\"1\\", "\"1\\\"", "\"1\\\"0\"", "\"10\"0", "1\"0\"", "\"\\ \""]
    {
        malformed(&format!("permessage-deflate; client_max_window_bits={bad}"));
    }
    proved_both(log, "WS-9.1-02");

    // REQ: WS-9.1-03
    assert_eq!(
        extensions(&["permessage-deflate ;\tclient_max_window_bits = 10 , x"]),
        [extension("permessage-deflate", &[("client_max_window_bits", Some("10"))]), extension("x", &[])]
    );
    assert_eq!(extensions(&["\ta;b\t=\t\"c\"\t,\td\t"]), [extension("a", &[("b", Some("c"))]), extension("d", &[])]);
    proved_both(log, "WS-9.1-03");

    // REQ: WS-9.1-04
    assert_eq!(extensions(&[",permessage-deflate,,"]), [extension("permessage-deflate", &[])]);
    assert_eq!(extensions(&[", a ,, b"]), [extension("a", &[]), extension("b", &[])]);
    assert_eq!(extensions(&["", "a", ","]), [extension("a", &[])]);
    assert_eq!(extensions(&[]), []);
    for empty in ["", " ", ",", ", ,\t,", "\r\nSec-WebSocket-Extensions: ,"] {
        malformed(empty);
    }
    proved_both(log, "WS-9.1-04");

    // REQ: WS-9.1-05
    assert_eq!(extensions(&["foo", "bar; baz=2"]), extensions(&["foo, bar; baz=2"]));
    let two = with(REQUEST, "Sec-WebSocket-Extensions: foo\r\nsec-websocket-extensions: bar; baz=2");
    assert_eq!(request(two).extensions(), extensions(&["foo, bar; baz=2"]));
    // A string over the seam would hold the comma.
    assert_eq!(parse([b"a; b=\"x".as_slice(), b"y\""]), Err(MalformedExtensions));
    proved_both(log, "WS-9.1-05");

    // REQ: WS-9.1-06
    for bad in ["a; b=\"x,y\"", "a; b=\"x;y\"", "a; b=\"x, c; d=y\""] {
        malformed(bad);
    }
    proved_both(log, "WS-9.1-06");

    // REQ: WS-9.1-07
    // None is offered, so none is ever used: no reserved bit is set, and none accepted.
    assert!(plain_request().header("Sec-WebSocket-Extensions", "x").is_err());
    let mut connection = Connection::client(Messages, Config::default().into(), [0; 32]);
    let mut output = BytesMut::new();
    connection.send(Message::Text("Hello"), &mut output).unwrap();
    assert_eq!(output[0], 0x81);
    let mut input = BytesMut::from(b"\xc1\x00".as_slice());
    assert!(matches!(connection.receive(&mut input, &mut output).next(), Err(ProtocolError::ReservedBits)));
    log.proved("WS-9.1-07", Role::Client);

    // REQ: WS-9.1-08
    let names = |extensions: Vec<Element<'_>>| extensions.iter().map(|one| one.name.to_owned()).collect::<Vec<_>>();
    let offer = request(with(REQUEST, "Sec-WebSocket-Extensions: foo, bar, foo\r\nSec-WebSocket-Extensions: a"));
    assert_eq!(names(offer.extensions()), ["foo", "bar", "foo", "a"]);
    assert_eq!(names(extensions(&["foo, bar", "a"])), ["foo", "bar", "a"]);
    proved_both(log, "WS-9.1-08");

    // REQ: WS-9.1-10
    // Names are kept and compared as they stand.
    let offer = request(with(REQUEST, "Sec-WebSocket-Extensions: Permessage-Deflate; X=Y"));
    assert_eq!(offer.extensions(), [extension("Permessage-Deflate", &[("X", Some("Y"))])]);
    assert_ne!(extensions(&["Permessage-Deflate"]), extensions(&["permessage-deflate"]));
    proved_both(log, "WS-9.1-10");

    // REQ: WS-9.1-11
    assert_eq!(answer(with(REQUEST, "Sec-WebSocket-Extensions: x-webkit-deflate-frame, permessage-deflate")), RESPONSE);
    log.proved("WS-9.1-11", Role::Server);

    // REQ: WS-9.1-12
    let refused = |versions: &str| {
        let wire = format!("HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: {versions}\r\n\r\n");
        match response(wire) {
            Err(HandshakeError::Refused(refusal)) => refusal.versions().collect::<Vec<u8>>(),
            other => panic!("{versions}: {other:?}"),
        }
    };
    assert_eq!(refused("13, 8 ,7"), [13, 8, 7]);
    assert_eq!(refused("13,"), [13]);
    assert_eq!(refused("13, x, 256, 8"), [13, 8]);
    log.proved("WS-9.1-12", Role::Client);
    for (version, error) in [
        ("13, 8", HandshakeError::Request(RequestError::Version)),
        ("013", HandshakeError::Request(RequestError::Version)),
        ("255", HandshakeError::Request(RequestError::UnsupportedVersion)),
        ("256", HandshakeError::Request(RequestError::Version)),
    ] {
        assert_eq!(receive(with(REQUEST, &format!("Sec-WebSocket-Version: {version}"))).0, Err(error));
    }
    log.proved("WS-9.1-12", Role::Server);
}

fn proved_both(log: &mut Log, id: &str) {
    ROLES.into_iter().for_each(|role| log.proved(id, role));
}

fn extension<'a>(name: &'a str, params: &[(&'a str, Option<&'a str>)]) -> Element<'a> {
    let params = params.iter().map(|&(name, value)| Param { name, value: value.map(Into::into) });
    Element { name, params: params.collect() }
}

/// What both roles read in these lines: a server in a whole request, too.
#[track_caller]
fn extensions<'a>(lines: &[&'a str]) -> Vec<Element<'a>> {
    let parsed = parse(lines.iter().map(|line| line.as_bytes())).expect("it follows the grammar");
    let mut head = REQUEST.trim_end().to_owned() + "\r\n";
    lines.iter().for_each(|line| head += &format!("Sec-WebSocket-Extensions: {line}\r\n"));
    assert_eq!(request(head + "\r\n").extensions(), parsed);
    parsed
}

/// Neither role opens a connection with this line.
#[track_caller]
fn malformed(line: &str) {
    let line = format!("Sec-WebSocket-Extensions: {line}");
    assert_eq!(receive(with(REQUEST, &line)).0, Err(HandshakeError::Request(RequestError::Extensions)), "{line}");
    assert_eq!(response(with(RESPONSE, &line)), Err(HandshakeError::Response(ResponseError::Extensions)), "{line}");
}
