//! The receiving side, both roles and both deliveries, against the naive reference and against itself over other cuts.
//!
//! A seed is [`Setup`], 23 bytes, and behind it what the peer sends.

#![no_main]

use std::collections::BTreeSet;
use std::sync::Arc;

use arbitrary::Arbitrary;
use bowsprit::{
    Chunks, Config, Connection, Cursor, Delivery, End, Inbound, Messages, ProtocolError, Role, TransportState,
};
use bowsprit_fuzz::cuts::Cuts;
use bowsprit_fuzz::heard::{Heard, Told};
use bowsprit_fuzz::reference;
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    setup: Setup,
    wire: &'a [u8],
}

#[derive(Arbitrary, Debug)]
struct Setup {
    client: bool,
    /// Whether output waits from the start: more than Pongs may queue behind.
    busy: bool,
    /// Whether these bounds are in force, not the defaults.
    small: bool,
    max_message: u8,
    max_frame: u8,
    max_fragments: u8,
    max_empty_fragments: u8,
    cuts: Cuts,
    /// After so many bytes of the wire the transport takes so many of the output.
    drains: [(u16, u16); 2],
}

fuzz_target!(|input: Input<'_>| {
    let Input { setup, wire } = input;
    let config = Arc::new(setup.config());
    let chunks = Chunks { max_message: config.max_message, max_fragments: config.max_fragments };

    // A whole message may wait in the input for its end; of one in chunks nothing does.
    let kept = config.max_frame.map_or(config.max_message, |max| max.min(config.max_message));
    let in_messages = |cuts| setup.run(Messages, kept, &config, cuts, wire);
    let in_chunks = |cuts| setup.run(chunks, 0, &config, cuts, wire);

    let whole = in_messages(Cuts::NONE);
    let (events, failure) = reference::receive(setup.role(), &config, wire);
    assert_eq!((&whole.heard, whole.error.map(|error| error.close_code().0)), (&events, failure));

    assert_eq!(in_chunks(Cuts::NONE), whole, "in chunks");
    for cuts in [setup.cuts, Cuts::EVERYWHERE] {
        assert_eq!(in_messages(cuts), whole, "{cuts:?}");
        assert_eq!(in_chunks(cuts), whole, "{cuts:?}, in chunks");
    }

    let alone = setup.run_alone(&config, wire);
    assert_eq!((alone.heard, alone.error), (whole.heard, whole.error), "without the sending side");
});

/// Everything that a connection tells.
#[derive(PartialEq, Eq, Debug)]
struct Outcome {
    heard: Vec<Told>,
    error: Option<ProtocolError>,
    output: Vec<u8>,
    end: Option<End>,
    transport: Option<TransportState>,
}

impl Setup {
    fn role(&self) -> Role {
        if self.client { Role::Client } else { Role::Server }
    }

    fn config(&self) -> Config {
        if !self.small {
            return Config::default();
        }
        Config {
            max_message: self.max_message.into(),
            max_frame: Some(self.max_frame.into()),
            max_fragments: self.max_fragments.into(),
            max_empty_fragments: self.max_empty_fragments.into(),
            ..Config::default()
        }
    }

    /// The payload of a message of `kept` bytes may stay in the input.
    fn run<D: Delivery>(&self, delivery: D, kept: u64, config: &Arc<Config>, cuts: Cuts, wire: &[u8]) -> Outcome {
        let mut connection = match self.role() {
            Role::Client => Connection::client(delivery, config.clone(), [7; 32]),
            Role::Server => Connection::server(delivery, config.clone()),
        };
        let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
        if self.busy {
            connection.send(&[0; 17 << 10], &mut output).expect("there is room");
        }
        let most_output = output.len() + OUTPUT;
        let (mut heard, mut error, mut taken) = (Heard::default(), None, Vec::new());
        let mut start = 0;
        let drains = self.drains.map(|(at, n)| (usize::from(at).min(wire.len()), usize::from(n)));
        for end in cuts.ends(wire.len()).into_iter().chain(drains.map(|(at, _)| at)).collect::<BTreeSet<_>>() {
            input.extend_from_slice(&wire[start..end]);
            start = end;
            let (arrived, mut events) = (input.len(), 0);
            let mut batch = connection.receive(&mut input, &mut output);
            loop {
                match batch.next() {
                    Ok(Some((event, _))) => {
                        assert_eq!(error, None, "nothing follows a failure");
                        heard.hear(event);
                        events += 1;
                    }
                    Ok(None) => break,
                    Err(again) => {
                        assert_eq!(*error.get_or_insert(again), again, "a failure stays the same");
                        break;
                    }
                }
            }
            drop(batch);
            let consumed = arrived.checked_sub(input.len()).expect("the input never grows");
            assert!(events <= consumed, "{events} events out of {consumed} bytes");
            assert!((input.len() as u64) < HEADER + kept.max(CONTROL), "{} bytes kept", input.len());
            assert!(
                input.is_empty() || connection.transport() == TransportState::Open,
                "after the end all is discarded"
            );
            assert!(output.len() <= most_output, "{} bytes to send", output.len());
            // What is given back was not needed.
            connection.shrink();
            for (_, n) in drains.iter().filter(|(at, _)| *at == end) {
                let n = output.len().min(*n);
                taken.extend_from_slice(&output[..n]);
                connection.wrote(n, &mut output);
            }
        }
        taken.extend_from_slice(&output);
        let reason = if let Some(Told::Close(Some((_, reason)))) = heard.events.last() { reason } else { "" };
        assert_eq!(connection.close_reason(), reason, "it stays");
        let (end, transport) = (connection.end(), Some(connection.transport()));
        Outcome { heard: heard.events, error, output: taken, end, transport }
    }

    /// The receiving machine by itself.
    fn run_alone(&self, config: &Arc<Config>, wire: &[u8]) -> Outcome {
        let mut inbound = Inbound::new(self.role(), Messages, config.clone());
        let (mut input, mut heard, mut start) = (BytesMut::new(), Heard::default(), 0);
        let mut error = None;
        for end in self.cuts.ends(wire.len()) {
            input.extend_from_slice(&wire[start..end]);
            start = end;
            let mut cursor = Cursor::new(&mut input);
            error = loop {
                match inbound.next(&mut cursor) {
                    Ok(Some(event)) => heard.hear(event),
                    Ok(None) => break None,
                    Err(error) => break Some(error),
                }
            };
        }
        Outcome { heard: heard.events, error, output: Vec::new(), end: None, transport: None }
    }
}

/// The longest header, and the longest payload of a control frame.
const HEADER: u64 = 14;
const CONTROL: u64 = 125;

/// The most output that no caller asked for: Pongs, one that entered behind them, and a Close.
const OUTPUT: usize = (16 << 10) + 3 * (14 + 125);
