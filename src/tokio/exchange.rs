//! What both opening handshakes do with a stream, until the deadline.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::clock;
use crate::adapter::{Deadline, not_opened};
use crate::proto::error::{Error, HandshakeError};

/// Writes `output`, then reads into `input` until `step` makes something of it.
pub(super) async fn exchange<S: AsyncRead + AsyncWrite + Unpin, T>(
    socket: &mut S,
    input: &mut BytesMut,
    output: &mut BytesMut,
    deadline: Option<Deadline>,
    mut step: impl FnMut(&mut BytesMut) -> Result<Option<T>, HandshakeError>,
) -> Result<T, Error> {
    write(socket, output, deadline).await?;
    loop {
        if let Some(done) = step(input)? {
            return Ok(done);
        }
        input.reserve(4 << 10);
        if before(deadline, socket.read_buf(input)).await?.map_err(not_opened)? == 0 {
            let what = "the peer ended before the opening handshake was complete";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what).into());
        }
    }
}

pub(super) async fn write<S: AsyncWrite + Unpin>(
    socket: &mut S,
    output: &mut BytesMut,
    deadline: Option<Deadline>,
) -> Result<(), Error> {
    before(deadline, async {
        socket.write_all_buf(output).await?;
        socket.flush().await
    })
    .await?
    .map_err(not_opened)
}

/// `TimedOut` once the deadline is over.
pub(crate) async fn before<F: Future>(deadline: Option<Deadline>, work: F) -> Result<F::Output, HandshakeError> {
    match deadline.and_then(|deadline| Some((deadline, clock::instant(deadline.at)?))) {
        None => Ok(work.await),
        Some((deadline, at)) => tokio::time::timeout_at(at, work).await.map_err(|_| deadline.error()),
    }
}
