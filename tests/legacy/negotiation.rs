//! What is offered, answered and agreed on.

use std::sync::Arc;
use std::time::Duration;

use bowsprit::extension::Extension;
use bowsprit::extension::legacy::{DeflateFrame, Fragment, Identity};
use bowsprit::extension::permessage_deflate::WindowBits;
use bowsprit::handshake::{AcceptOptions, ResponseError, ServerHandshake};
use bowsprit::{Config, HandshakeError};
use bytes::BytesMut;

use crate::support::{agrees, answers, offers, with};
use crate::{NAMES, all, with_permessage_deflate};

/// Parameters of `deflate-frame` that are not legal.
const ILLEGAL: [&str; 18] = [
    "max_window_bits=7",
    "max_window_bits=16",
    "max_window_bits=0",
    "max_window_bits=08",
    "max_window_bits=\"08\"",
    "max_window_bits=\"16\"",
    "max_window_bits=+9",
    "max_window_bits=-9",
    "max_window_bits=1e1",
    "max_window_bits=99999999999999999999",
    "max_window_bits=ten",
    "max_window_bits",
    "max_window_bits=9; max_window_bits=9",
    "no_context_takeover=1",
    "no_context_takeover=true",
    "no_context_takeover; no_context_takeover",
    "unknown",
    "client_max_window_bits=9",
];

/// Parameters of `fragment` that are not legal.
const NO_LENGTHS: [&str; 7] = [
    "maxLength",
    "maxLength=ten",
    "maxLength=1.5",
    "maxLength=99999999999999999999",
    "maxLength=4; maxLength=4",
    "maxLength=4; minFragments=2",
    "maxlength=4",
];

fn names(config: &Config, answered: &[&str]) -> Vec<String> {
    agrees(config, answered).unwrap().names().map(str::to_owned).collect()
}

#[test]
fn nothing_is_offered_or_accepted_unless_it_is_named() {
    assert_eq!(offers(&Config::default()), "");
    let everything = "deflate-frame, x-webkit-deflate-frame, fragment; maxLength=4, identity";
    let (answer, agreement) = answers(&Config::default(), everything);
    assert_eq!((&*answer, agreement.names().count()), ("", 0));
    for name in ["deflate-frame", "x-webkit-deflate-frame", "fragment", "identity"] {
        assert_eq!(
            agrees(&Config::default(), &[name]),
            Err(HandshakeError::Response(ResponseError::Extensions)),
            "{name}"
        );
        // One name says nothing of the others.
        let own = all().extensions.into_iter().find(|one| one.name() == name).unwrap();
        let others = all().extensions.into_iter().filter(|one| one.name() != name).collect();
        assert_eq!(answers(&with(others), name).0, "", "{name}");
        assert_eq!(answers(&with(vec![own]), name).0, name);
    }
}

#[test]
fn they_are_offered_in_order_behind_permessage_deflate() {
    assert_eq!(offers(&all()), "deflate-frame, x-webkit-deflate-frame, fragment; maxLength=4, identity");
    assert_eq!(
        offers(&with_permessage_deflate()),
        "permessage-deflate; client_max_window_bits, deflate-frame, x-webkit-deflate-frame, fragment; maxLength=4, identity"
    );
    let ten = WindowBits::new(10).unwrap();
    for (extension, offered) in [
        (Arc::new(DeflateFrame::default()) as Arc<dyn Extension>, "deflate-frame"),
        (Arc::new(DeflateFrame::new().level(200).max_window_bits(ten)), "deflate-frame; max_window_bits=10"),
        (
            Arc::new(DeflateFrame::webkit().no_context_takeover().max_window_bits(ten)),
            "x-webkit-deflate-frame; max_window_bits=10; no_context_takeover",
        ),
        (Arc::new(Fragment::default()), "fragment"),
        (Arc::new(Fragment { max_length: Some(0) }), "fragment; maxLength=0"),
    ] {
        assert_eq!(offers(&with(vec![extension])), offered);
    }
}

#[test]
fn a_server_does_not_repeat_parameters_of_compression() {
    let asks = with(NAMES.map(|name| asking(name) as _).into());
    for name in NAMES {
        for legal in [
            "",
            "; max_window_bits=8",
            "; max_window_bits=15",
            "; max_window_bits=\"10\"", // the same as without quotes: RFC 6455 section 9.1
            "; no_context_takeover",
            "; no_context_takeover; max_window_bits=9",
        ] {
            let offered = format!("{name}{legal}");
            assert_eq!(answers(&all(), &offered).0, name, "{offered}");
            // What it asks for itself stands there.
            let asked = format!("{name}; max_window_bits=9; no_context_takeover");
            assert_eq!(answers(&asks, &offered).0, asked, "{offered}");
        }
    }
}

fn asking(name: &str) -> Arc<DeflateFrame> {
    let one = if name == "deflate-frame" { DeflateFrame::new() } else { DeflateFrame::webkit() };
    Arc::new(one.max_window_bits(WindowBits::new(9).unwrap()).no_context_takeover())
}

#[test]
fn illegal_parameters_are_declined_by_a_server_and_refused_by_a_client() {
    for name in NAMES {
        for illegal in ILLEGAL {
            let element = format!("{name}; {illegal}");
            assert_eq!(answers(&all(), &element).0, "", "{element}");
            assert_eq!(answers(&all(), &format!("{element}, identity")).0, "identity", "{element}");
            assert_eq!(answers(&all(), &format!("{element}, {name}")).0, name, "{element}");
            assert_eq!(
                agrees(&all(), &[&element]),
                Err(HandshakeError::Response(ResponseError::Extensions)),
                "{element}"
            );
        }
        let twice = format!("{name}, {name}");
        assert_eq!(agrees(&all(), &[&twice]), Err(HandshakeError::Response(ResponseError::Extensions)));
        assert_eq!(answers(&all(), &twice).0, name);
    }
    for illegal in NO_LENGTHS {
        let element = format!("fragment; {illegal}");
        assert_eq!(answers(&all(), &element).0, "", "{element}");
        assert_eq!(
            answers(&all(), &format!("{element}, fragment; maxLength=3")).0,
            "fragment; maxLength=3",
            "{element}"
        );
        assert_eq!(agrees(&all(), &[&element]), Err(HandshakeError::Response(ResponseError::Extensions)), "{element}");
    }
    assert_eq!(agrees(&all(), &["fragment, fragment"]), Err(HandshakeError::Response(ResponseError::Extensions)));
}

#[test]
fn a_client_takes_any_legal_answer() {
    for name in NAMES {
        for answered in [
            name.to_owned(),
            format!("{name}; max_window_bits=9"),
            format!("{name}; no_context_takeover"),
            format!("{name}; max_window_bits=15; no_context_takeover"),
        ] {
            assert_eq!(names(&all(), &[&answered]), [name], "{answered}");
        }
    }
    for answered in ["fragment", "fragment; maxLength=4", "fragment; maxLength=1000", "fragment; maxLength=-3"] {
        assert_eq!(names(&all(), &[answered]), ["fragment"], "{answered}");
    }
}

#[test]
fn the_length_of_fragments_is_repeated() {
    for element in ["fragment", "fragment; maxLength=4", "fragment; maxLength=0", "fragment; maxLength=-1"] {
        assert_eq!(answers(&all(), element).0, element);
    }
}

#[test]
fn identity_takes_anything_and_several() {
    for offered in [
        "identity",
        "identity; param=0",
        "identity; param=0; param=0; other=\"x\"",
        "identity, identity; param=1",
        "identity; a, identity, identity; b=2",
    ] {
        assert_eq!(answers(&all(), offered).0, "identity", "{offered}");
        assert_eq!(names(&all(), &[offered]), ["identity"], "{offered}");
        let lines: Vec<&str> = offered.split(", ").collect();
        assert_eq!(names(&all(), &lines), ["identity"], "{offered}");
    }
    assert_eq!(answers(&with(vec![Arc::new(Identity)]), "fragment, identity").0, "identity");
}

#[test]
fn of_two_that_claim_rsv1_the_first_is_accepted() {
    let config = with_permessage_deflate();
    for (offered, answered) in [
        ("deflate-frame, x-webkit-deflate-frame", "deflate-frame"),
        ("x-webkit-deflate-frame, deflate-frame", "x-webkit-deflate-frame"),
        ("permessage-deflate, deflate-frame", "permessage-deflate"),
        ("deflate-frame, permessage-deflate", "deflate-frame"),
        ("x-webkit-deflate-frame, permessage-deflate, deflate-frame", "x-webkit-deflate-frame"),
        // What is declined claims nothing.
        ("deflate-frame; max_window_bits=7, x-webkit-deflate-frame", "x-webkit-deflate-frame"),
        ("permessage-deflate; unknown, deflate-frame", "deflate-frame"),
    ] {
        assert_eq!(answers(&config, offered).0, answered, "{offered}");
    }
    for answered in [
        "deflate-frame, x-webkit-deflate-frame",
        "permessage-deflate, deflate-frame",
        "x-webkit-deflate-frame, permessage-deflate",
    ] {
        assert_eq!(
            agrees(&config, &[answered]),
            Err(HandshakeError::Response(ResponseError::Extensions)),
            "{answered}"
        );
    }
}

#[test]
fn several_are_answered_messages_before_frames() {
    let config = with_permessage_deflate();
    for (offered, answered) in [
        ("fragment; maxLength=7, identity, permessage-deflate", "fragment; maxLength=7, identity, permessage-deflate"),
        ("permessage-deflate, identity, fragment; maxLength=7", "permessage-deflate, identity, fragment; maxLength=7"),
        ("deflate-frame, fragment; maxLength=7, identity", "fragment; maxLength=7, identity, deflate-frame"),
        ("identity, deflate-frame", "identity, deflate-frame"),
    ] {
        assert_eq!(answers(&config, offered).0, answered, "{offered}");
        // A client takes either order of them.
        assert!(agrees(&config, &[offered]).is_ok(), "{offered}");
        assert!(agrees(&config, &[answered]).is_ok(), "{answered}");
    }
}

#[test]
fn where_nothing_is_accepted_there_is_no_field() {
    for offered in ["deflate-frame; max_window_bits=7", "fragment; maxLength", "unknown", "permessage-deflate"] {
        let mut input = BytesMut::from(
            &*[
                "GET / HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
                "Sec-WebSocket-Extensions: ",
                offered,
                "\r\n\r\n",
            ]
            .concat(),
        );
        let mut handshake = ServerHandshake::new(Arc::new(all()), Duration::ZERO);
        let request = handshake.receive(&mut input).unwrap().expect("it came whole");
        let mut output = BytesMut::new();
        request.accept(&AcceptOptions::new(), &mut output).unwrap();
        let head = str::from_utf8(&output).unwrap().to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 101 ") && !head.contains("sec-websocket-extensions"), "{head}");
    }
}
