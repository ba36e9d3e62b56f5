//! What an end hears.

use bowsprit::{Chunk, Connection, Delivery, Event, ProtocolError};
use bytes::BytesMut;

/// Messages, put together where they came in chunks, and how it ended.
pub(crate) type Heard = (Vec<Vec<u8>>, Option<ProtocolError>);

/// What an end makes of the pieces.
pub(crate) fn heard<D: Delivery>(connection: &mut Connection<D>, pieces: &[&[u8]]) -> Heard {
    let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
    let (mut messages, mut begun) = (Vec::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        let mut batch = connection.receive(&mut input, &mut output);
        loop {
            match batch.next() {
                Ok(Some((Event::Data(item), _))) => {
                    let chunk: Chunk<'_> = item.into();
                    begun.extend_from_slice(chunk.data.as_bytes());
                    if chunk.end {
                        messages.push(std::mem::take(&mut begun));
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
    }
    (messages, None)
}
