//! Two connections talk: what one accepts to send, the other is told, exactly and in order; what it refuses changes nothing.

#![no_main]

use std::sync::Arc;

use arbitrary::Arbitrary;
use bowsprit::{
    Chunk, Chunks, Close, CloseCode, Config, Connection, Delivery, Event, Header, Mask, Message, Messages, OpCode,
    Outgoing, Prepared, Rsv, SendError,
};
use bowsprit_fuzz::heard::{Heard, Told};
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Script<'a> {
    chunks: bool,
    fragment_size: Option<u8>,
    max_unsent: Option<u16>,
    /// Whether the client takes the step, not the server.
    steps: Vec<(bool, Step<'a>)>,
}

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Message(Payload<'a>),
    Prepared(Payload<'a>),
    Begin(Payload<'a>),
    Chunk {
        data: Payload<'a>,
        end: bool,
    },
    Ping(&'a [u8]),
    Pong(&'a [u8]),
    Close(Option<(u16, &'a str)>),
    Frame {
        first: u8,
        extra_len: u8,
        masked: bool,
        payload: &'a [u8],
    },
    /// The transport takes so many bytes, and the peer receives them.
    Write(u16),
}

#[derive(Arbitrary, Debug)]
enum Payload<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
    /// Bytes around the lengths at which a header grows.
    Long {
        text: bool,
        len: u8,
    },
}

fuzz_target!(|script: Script<'_>| {
    if script.chunks {
        script.play(Chunks { max_message: Config::UNLIMITED, max_fragments: u32::MAX });
    } else {
        script.play(Messages);
    }
});

/// More steps make an input slow, not better.
const MOST_STEPS: usize = 64;

impl Script<'_> {
    fn play<D: Delivery + Copy>(&self, delivery: D) {
        let config = Arc::new(Config {
            fragment_size: self.fragment_size.map(usize::from),
            max_unsent: self.max_unsent.map_or(1 << 20, usize::from),
            max_message: Config::UNLIMITED,
            max_fragments: u32::MAX,
            max_empty_fragments: u16::MAX,
            ..Config::default()
        });
        let mut client = Side::new(Connection::client(delivery, config.clone(), [7; 32]));
        let mut server = Side::new(Connection::server(delivery, config));
        for (by_client, step) in self.steps.iter().take(MOST_STEPS) {
            let (side, peer) = if *by_client { (&mut client, &mut server) } else { (&mut server, &mut client) };
            match step {
                Step::Write(n) => side.write((*n).into(), peer),
                step => side.send(step),
            }
        }
        // An answer has no answer: two turns are enough.
        for _ in 0..2 {
            client.write_all(&mut server);
            server.write_all(&mut client);
        }
        assert!(client.output.is_empty() && server.output.is_empty(), "nobody talks for ever");
        client.was_heard_by(&server);
        server.was_heard_by(&client);
        for side in [&mut client, &mut server] {
            side.connection.disconnected(&side.output);
            assert_eq!(side.connection.end().map(|end| end.clean), Some(side.closed), "clean after both Closes alone");
        }
    }
}

/// One end, and what is known of it.
struct Side<D: Delivery> {
    connection: Connection<D>,
    input: BytesMut,
    output: BytesMut,
    heard: Heard,
    /// What the peer must be told.
    sent: Vec<Told>,
    /// The message that is being sent in pieces: whether it is text, and what was sent of it.
    begun: Option<(bool, Vec<u8>)>,
    /// Whether a Close was sent.
    closed: bool,
    /// The payload of the Pong that waits for room.
    waiting: Option<Vec<u8>>,
}

impl<D: Delivery> Side<D> {
    fn new(connection: Connection<D>) -> Self {
        Self {
            connection,
            input: BytesMut::new(),
            output: BytesMut::new(),
            heard: Heard::default(),
            sent: Vec::new(),
            begun: None,
            closed: false,
            waiting: None,
        }
    }

    /// Takes a step, and checks that it is accepted or refused as it should.
    fn send(&mut self, step: &Step<'_>) {
        let before = self.output.len();
        // A bound of zero means one.
        let full = before >= self.connection.config().max_unsent.max(1);
        let whole = self.connection.config().fragment_size.is_none();
        let output = &mut self.output;
        let ready = match () {
            () if self.closed => Err(SendError::Closing),
            () if self.begun.is_some() => Err(SendError::MessageInProgress),
            () if full => Err(SendError::Full),
            () => Ok(()),
        };
        let result = match step {
            Step::Message(payload) => {
                let payload = payload.bytes(whole);
                let result = self.connection.send(payload.message(), output);
                assert_eq!(result, ready);
                result.map(|()| self.sent.push(payload.told()))
            }
            Step::Prepared(payload) => {
                let payload = payload.bytes(whole);
                let result = self.connection.send(&Prepared::message(payload.message()), output);
                assert_eq!(result, ready);
                result.map(|()| self.sent.push(payload.told()))
            }
            Step::Begin(payload) => {
                let payload = payload.bytes(whole);
                let result = self.connection.begin(payload.message(), output);
                assert_eq!(result.map(|_| ()), ready);
                if let Ok(Some(uncopied)) = result {
                    output.extend_from_slice(&uncopied.slices().concat());
                    self.sent.push(payload.told());
                }
                return;
            }
            Step::Chunk { data, end } => {
                let data = data.bytes(whole);
                let result = self.connection.send(Chunk { data: data.message(), end: *end }, output);
                let begun = self.begun.as_ref();
                let goes_on =
                    begun.is_none_or(|(text, sent)| *text == data.text && (!text || str::from_utf8(sent).is_ok()));
                assert_eq!(result.is_ok(), !self.closed && !full && goes_on, "{result:?}");
                result.map(|()| self.piece(data.text, &data.data, *end))
            }
            Step::Ping(payload) => {
                let result = self.connection.send(Outgoing::ping(payload), output);
                assert_eq!(result.is_ok(), !self.closed && payload.len() <= 125 && result != Err(SendError::Full));
                assert!(full || result != Err(SendError::Full));
                result.map(|()| self.sent.push(Told::Ping(payload.to_vec())))
            }
            Step::Pong(payload) => {
                let result = self.connection.send(Outgoing::pong(payload), output);
                assert_eq!(result.is_ok(), !self.closed && payload.len() <= 125 && result != Err(SendError::Full));
                assert!(full || result != Err(SendError::Full));
                result.map(|()| self.sent.push(Told::Pong(payload.to_vec())))
            }
            Step::Close(close) => {
                let close = close.map(|(code, reason)| Close { code: CloseCode(code), reason });
                let result = self.connection.close(close, output);
                assert!(result.is_ok() || self.closed || close.is_some(), "a plain Close is always possible");
                result.map(|()| self.close(Told::close(close.map(Close::truncated))))
            }
            Step::Frame { first, extra_len, masked, payload } => {
                let Ok(opcode) = OpCode::try_from(first & 0x0f) else { return };
                let header = Header {
                    fin: first & 0x80 != 0,
                    rsv: Rsv::from_first_byte(*first),
                    opcode,
                    mask: masked.then_some(Mask([1, 2, 3, 4])),
                    len: payload.len() as u64 + u64::from(*extra_len),
                };
                let result = self.connection.send(Outgoing::frame(header, payload), output);
                assert!(result.is_err() || first & 0x70 == 0 && !masked && *extra_len == 0);
                result.map(|()| self.framed(header, payload))
            }
            Step::Write(_) => unreachable!("the caller writes"),
        };
        assert_eq!(self.output.len() > before, result.is_ok(), "what is refused leaves nothing");
    }

    /// A piece of a message was sent.
    fn piece(&mut self, text: bool, data: &[u8], end: bool) {
        let (text, mut sent) = self.begun.take().unwrap_or((text, Vec::new()));
        sent.extend_from_slice(data);
        if end {
            self.sent.push(Told::message(text, sent));
        } else {
            self.begun = Some((text, sent));
        }
    }

    /// A raw frame was sent.
    fn framed(&mut self, header: Header, payload: &[u8]) {
        match header.opcode {
            OpCode::Ping => self.sent.push(Told::Ping(payload.to_vec())),
            OpCode::Pong => self.sent.push(Told::Pong(payload.to_vec())),
            OpCode::Close => self.close(Told::close(Close::decode(payload).expect("it may be sent"))),
            OpCode::Text | OpCode::Binary | OpCode::Continuation => {
                self.piece(header.opcode == OpCode::Text, payload, header.fin);
            }
        }
    }

    fn close(&mut self, close: Told) {
        self.sent.push(close);
        self.closed = true;
    }

    fn write(&mut self, n: usize, peer: &mut Self) {
        let n = n.min(self.output.len());
        peer.input.extend_from_slice(&self.output[..n]);
        let left = self.output.len() - n;
        self.connection.wrote(n, &mut self.output);
        if self.output.len() > left {
            self.sent.push(Told::Pong(self.waiting.take().expect("a Pong has waited")));
        }
        peer.receive();
    }

    fn write_all(&mut self, peer: &mut Self) {
        while !self.output.is_empty() {
            self.write(self.output.len(), peer);
        }
        assert_eq!(self.waiting, None, "the newest Pong leaves");
    }

    /// One event after the other, so that it is seen what each puts into the output.
    fn receive(&mut self) {
        loop {
            let before = self.output.len();
            let mut batch = self.connection.receive(&mut self.input, &mut self.output);
            let Some((event, _)) = batch.next().expect("the peer keeps the rules") else { return };
            let ping = if let Event::Ping(payload) = event { Some(payload.to_vec()) } else { None };
            let close = if let Event::Close(close) = event {
                Some(Told::close(close.map(|close| close.code.into())))
            } else {
                None
            };
            self.heard.hear(event);
            drop(batch);
            let answered = self.output.len() > before;
            match (ping, close) {
                (Some(ping), _) if answered => self.sent.push(Told::Pong(ping)),
                (Some(ping), _) => {
                    assert!(before >= 16 << 10 || self.waiting.is_some(), "a Ping is answered while there is room");
                    self.waiting = Some(ping);
                }
                (_, Some(close)) => {
                    assert_eq!(answered, !self.closed, "a Close is answered once");
                    self.waiting = None;
                    if answered {
                        self.close(close);
                    }
                }
                _ => assert!(!answered, "only Ping and Close are answered"),
            }
        }
    }

    /// The peer was told all that was sent, up to the Close.
    fn was_heard_by(&self, peer: &Self) {
        let close = self.sent.iter().position(|told| matches!(told, Told::Close(_)));
        assert_eq!(close.is_some(), self.closed);
        assert_eq!(peer.heard.events, self.sent[..close.map_or(self.sent.len(), |close| close + 1)]);
    }
}

/// A payload, written out.
struct Data {
    text: bool,
    data: Vec<u8>,
}

impl Payload<'_> {
    /// Only where messages go out whole they may be long: thousands of fragments take time and reach nothing new.
    fn bytes(&self, whole: bool) -> Data {
        match *self {
            Self::Text(text) => Data { text: true, data: text.into() },
            Self::Binary(data) => Data { text: false, data: data.into() },
            Self::Long { text, len } => {
                // 64 to 191, or 65,472 to 65,599
                let len = usize::from(len % 128) + if len < 128 || !whole { 64 } else { 65_472 };
                Data { text, data: (b'a'..=b'z').cycle().take(len).collect() }
            }
        }
    }
}

impl Data {
    fn message(&self) -> Message<'_> {
        if self.text { str::from_utf8(&self.data).expect("it was text").into() } else { self.data[..].into() }
    }

    fn told(&self) -> Told {
        Told::message(self.text, self.data.clone())
    }
}
