//! What errors and endings say to people: the values that they need, in words.

use bowsprit::{
    Cause, Close, CloseCode, CloseError, Config, Connection, End, Initiator, Message, Messages, Outbound, Outgoing,
    OwnedMessage, ProtocolError, SendError, Timeout, Utf8Bytes,
};
use bytes::{Bytes, BytesMut};

#[test]
fn a_close_code_shows_its_registered_name() {
    for (code, text) in [
        (1000, "1000 (normal closure)"),
        (1001, "1001 (going away)"),
        (1002, "1002 (protocol error)"),
        (1003, "1003 (unsupported data)"),
        (1004, "1004 (reserved)"),
        (1005, "1005 (no status received)"),
        (1006, "1006 (abnormal closure)"),
        (1007, "1007 (invalid payload data)"),
        (1008, "1008 (policy violation)"),
        (1009, "1009 (message too big)"),
        (1010, "1010 (mandatory extension)"),
        (1011, "1011 (internal error)"),
        (1012, "1012 (service restart)"),
        (1013, "1013 (try again later)"),
        (1014, "1014 (bad gateway)"),
        (1015, "1015 (TLS handshake)"),
        (3000, "3000 (unauthorized)"),
        (3003, "3003 (forbidden)"),
        (3008, "3008 (timeout)"),
        (3001, "3001"),
        (4321, "4321"),
        (0, "0"),
    ] {
        assert_eq!(CloseCode(code).to_string(), text);
    }
}

#[test]
fn a_close_shows_its_reason_without_control_characters() {
    let close = |reason| Close { code: CloseCode::SERVICE_RESTART, reason }.to_string();
    assert_eq!(close(""), "1012 (service restart)");
    assert_eq!(close("deploy"), "1012 (service restart): deploy");
    assert_eq!(close("\x1b[31m\"naïve\"\r\n"), "1012 (service restart): \\u{1b}[31m\"naïve\"\\r\\n");
}

fn end(cause: Cause, sent: Option<CloseCode>, received: Option<CloseCode>, clean: bool) -> End {
    End { sent, received, by: Initiator::Remote, clean, cause }
}

#[test]
fn an_end_is_told_in_words() {
    let restart = Some(CloseCode::SERVICE_RESTART);
    for (end, text) in [
        (end(Cause::Close, restart, restart, true), "closed with 1012 (service restart)"),
        (
            end(Cause::Close, Some(CloseCode::NO_STATUS), Some(CloseCode::NO_STATUS), true),
            "closed with 1005 (no status received)",
        ),
        (end(Cause::Close, None, restart, false), "closed with 1012 (service restart) before everything was sent"),
        (end(Cause::Close, restart, None, false), "closed with 1012 (service restart), which the peer did not answer"),
        (end(Cause::Timeout(Timeout::Pong), Some(CloseCode::GOING_AWAY), None, false), "no pong in time"),
        (end(Cause::Disconnected, None, None, false), "the transport ended without a Close"),
        (
            end(Cause::Protocol(ProtocolError::InvalidUtf8), Some(CloseCode::INVALID_PAYLOAD), None, false),
            "the peer sent text that is not UTF-8",
        ),
    ] {
        assert_eq!(end.to_string(), text);
        assert_eq!(end.with_reason("").to_string(), text);
    }
    let end = end(Cause::Close, restart, restart, true);
    assert_eq!(end.with_reason("deploy").to_string(), "closed with 1012 (service restart): deploy");
    assert_eq!(end.with_reason("\u{7}").to_string(), "closed with 1012 (service restart): \\u{7}");
    assert_eq!(Cause::Close.to_string(), "closed");
}

/// What a client makes of these bytes.
fn fails(config: Config, wire: &[u8]) -> ProtocolError {
    let mut client = Connection::client(Messages, config.into(), [7; 32]);
    let (mut input, mut output) = (BytesMut::from(wire), BytesMut::new());
    client.receive(&mut input, &mut output).next().unwrap_err()
}

#[test]
fn what_is_too_long_says_how_long_and_the_limit() {
    let config = || Config { max_message: 1_000, max_frame: Some(600), ..Config::default() };
    let frame = fails(config(), b"\x82\x7e\x02\x59"); // 601
    assert_eq!(frame.to_string(), "the peer sent a frame of at least 601 bytes; the limit is 600");
    let mut fragments = b"\x02\x7e\x02\x58".to_vec(); // 600
    fragments.extend_from_slice(&[0; 600]);
    fragments.extend_from_slice(b"\x80\x7e\x01\x91"); // 401
    let message = fails(config(), &fragments);
    assert_eq!(message.to_string(), "the peer sent a message of at least 1001 bytes; the limit is 1000");
    let ProtocolError::MessageTooLong(exceeded) = message else { panic!("{message:?}") };
    assert_eq!((exceeded.size(), exceeded.limit()), (1_001, 1_000));

    // Beyond 32 bits the numbers end.
    let huge = fails(Config { max_message: 1 << 40, ..Config::default() }, b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff");
    let text = "the peer sent a message of at least 4294967295 bytes; the limit is 4294967295 or more";
    assert_eq!(huge.to_string(), text);
    assert_eq!(
        ProtocolError::TooManyFragments.to_string(),
        "the peer sent a message in more fragments, or more empty ones in a row, than the limits \
         (`Config::max_fragments`, `Config::max_empty_fragments`)"
    );
}

#[cfg(feature = "deflate")]
#[test]
fn what_is_too_long_once_inflated_says_the_limit() {
    use bowsprit::extension::permessage_deflate::Agreed;

    let agreed = Agreed {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        server_max_window_bits: 15,
        client_max_window_bits: 15,
    };
    let config = Config { max_decoded_message: 6, ..Config::default() };
    let mut client = Connection::client(Messages, config.into(), [7; 32]).with_extensions(&agreed.into());
    // RFC 7692 section 7.2.3.3: "Hello" twice, in two blocks without compression.
    let wire = b"\xc1\x14\x00\x05\x00\xfa\xffHello\x00\x05\x00\xfa\xffHello";
    let (mut input, mut output) = (BytesMut::from(&wire[..]), BytesMut::new());
    let error = client.receive(&mut input, &mut output).next().unwrap_err();
    assert_eq!(error.to_string(), "the peer sent a message of at least 7 bytes; the limit is 6");
}

#[test]
fn a_refusal_to_send_says_how_to_go_on() {
    for (error, text) in [
        (
            SendError::Full,
            "the unsent output has reached the limit (`Config::max_unsent`): write some of it, then try again",
        ),
        (SendError::Closing, "the connection is closing: nothing may be sent after a Close"),
        (SendError::NotOpen, "no connection is open at the moment"),
        (SendError::ControlTooLong, "a Ping or Pong carries at most 125 bytes"),
        (SendError::InvalidCloseCode(CloseCode::NO_STATUS), "the close code 1005 (no status received) may not be sent"),
        (SendError::ReasonTooLong, "a close reason has at most 123 bytes"),
        (SendError::MessageInProgress, "another message is being sent in chunks: send its last chunk first"),
        (SendError::NoMessageInProgress, "a continuation frame, but no message is being sent in chunks"),
        (
            SendError::InvalidFrame,
            "the raw frame is not allowed: wrong length, a mask, a reserved bit, a fragmented control frame or an \
             invalid Close",
        ),
        (SendError::InvalidUtf8, "the raw text frame is not UTF-8"),
    ] {
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn everything_that_people_hold_can_be_sent() {
    let mut server = Connection::server(Messages, Config::default().into());
    let mut output = BytesMut::new();
    let (string, vec, bytes) = (String::from("s"), vec![b'v'], Bytes::from_static(b"b"));
    let (text, owned) = (Utf8Bytes::from_static("u"), OwnedMessage::from(&b"o"[..]));
    server.send("t", &mut output).unwrap();
    server.send(&string, &mut output).unwrap();
    server.send(&text, &mut output).unwrap();
    server.send(&b"a"[..], &mut output).unwrap();
    server.send(b"n", &mut output).unwrap();
    server.send(&vec, &mut output).unwrap();
    server.send(&bytes, &mut output).unwrap();
    server.send(&owned, &mut output).unwrap();
    server.send(Message::Text("m"), &mut output).unwrap();
    server.send(Outgoing::message(&string).uncompressed(), &mut output).unwrap();
    let expected = b"\x81\x01t\x81\x01s\x81\x01u\x82\x01a\x82\x01n\x82\x01v\x82\x01b\x82\x01o\x81\x01m\x81\x01s";
    assert_eq!(&output[..], expected);
}

#[test]
fn what_is_sent_knows_its_length() {
    let reason = "x".repeat(200);
    let lengths = [
        (Outgoing::text("four"), 4),
        (Outgoing::binary(b""), 0),
        (Outgoing::ping(b"ping!"), 5),
        (Outgoing::close(None), 0),
        (Outgoing::close(Some(CloseCode::NORMAL.into())), 2),
        (Outgoing::close(Some(Close { code: CloseCode::NORMAL, reason: &reason })), 125),
    ];
    for (outgoing, len) in lengths {
        assert_eq!((outgoing.len(), outgoing.is_empty()), (len, len == 0));
    }
}

#[test]
fn a_message_tells_its_kind_and_length() {
    let (text, binary) = (Message::Text("é"), Message::Binary(b""));
    assert_eq!((text.as_text(), text.is_text(), text.is_binary(), text.len()), (Some("é"), true, false, 2));
    assert_eq!((binary.as_text(), binary.is_text(), binary.is_binary()), (None, false, true));
    assert_eq!((binary.len(), binary.is_empty(), text.is_empty()), (0, true, false));
    let (text, binary) = (text.to_owned(), binary.to_owned());
    assert_eq!((text.as_text(), text.is_text(), text.is_binary(), text.len()), (Some("é"), true, false, 2));
    assert_eq!((binary.as_text(), binary.is_text(), binary.is_binary()), (None, false, true));
    assert_eq!((binary.len(), binary.is_empty(), text.is_empty()), (0, true, false));
    assert_eq!((text.as_bytes(), binary.as_bytes()), ("é".as_bytes(), &b""[..]));
}

#[test]
fn a_message_of_the_other_kind_is_refused_in_words() {
    let refused: Result<&str, CloseError> = Message::Binary(b"").try_into();
    assert_eq!(refused.unwrap_err().to_string(), "only text messages are accepted");
    let refused: Result<&[u8], CloseError> = Message::Text("").try_into();
    assert_eq!(refused.unwrap_err().to_string(), "only binary messages are accepted");
}

/// The key's bytes come from the generator in one order, whatever the machine's is.
#[test]
fn the_masking_keys_of_a_seed_are_the_same_on_every_machine() {
    let mut client = Outbound::client(Config::default().into(), [7; 32]);
    let mut output = BytesMut::new();
    client.send("", &mut output).unwrap();
    client.send("", &mut output).unwrap();
    assert_eq!(&output[..], b"\x81\x80\xf6\x92\x89\x78\x81\x80\x85\xc0\xcb\x20");
}
