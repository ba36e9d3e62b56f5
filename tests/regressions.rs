//! What fuzzing found: each finding once more, as the bytes that showed it.

use std::sync::Arc;

use bowsprit::{Chunk, Chunks, Config, Cursor, Delivery, Event, Inbound, Message, Messages, Role};
use bytes::BytesMut;

/// In chunks a whole message counted as a fragment, so that bounds on fragments refused it.
#[test]
fn a_whole_message_is_no_fragment() {
    let config = Arc::new(Config { max_fragments: 0, max_empty_fragments: 0, ..Config::default() });
    let chunks = Chunks { max_message: 10, max_fragments: 0 };
    for (wire, text) in [(&b"\x81\x00"[..], ""), (b"\x81\x01a", "a")] {
        let event = Event::Chunk(Chunk { data: Message::Text(text), end: true });
        only_event(Messages, &config, wire, Event::Text(text));
        only_event(chunks, &config, wire, event);
    }
}

fn only_event<D: Delivery>(delivery: D, config: &Arc<Config>, wire: &[u8], event: Event<'_>) {
    let mut input = BytesMut::from(wire);
    let mut inbound = Inbound::new(Role::Client, delivery, config.clone());
    let mut cursor = Cursor::new(&mut input);
    assert_eq!(inbound.next(&mut cursor), Ok(Some(event)));
    assert_eq!(inbound.next(&mut cursor), Ok(None));
}
