//! A stream that reads along: heads, and the headers of frames.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};

use crate::Result;

/// What has come and what has gone.
#[derive(Clone, Default)]
pub(crate) struct Tapes {
    pub(crate) read: Tape,
    pub(crate) written: Tape,
}

impl Tapes {
    pub(crate) fn record(&self, tcp: TcpStream) -> Recorder {
        Recorder { tcp, tapes: self.clone() }
    }
}

pub(crate) struct Recorder {
    tcp: TcpStream,
    tapes: Tapes,
}

impl Read for Recorder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.tcp.read(buffer)?;
        self.tapes.read.push(&buffer[..read]);
        Ok(read)
    }
}

impl Write for Recorder {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.tcp.write(bytes)?;
        self.tapes.written.push(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

/// One direction.
#[derive(Clone, Default)]
pub(crate) struct Tape(Arc<Mutex<Vec<u8>>>);

/// Data frames of a direction.
#[derive(Default)]
pub(crate) struct Frames {
    pub(crate) compressed: usize,
    pub(crate) compressed_fragments: usize,
    plain: usize,
    plain_fragments: usize,
    empty: usize,
    bytes: u64,
    first: Vec<u8>,
}

impl Tape {
    fn push(&self, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
    }

    /// The head, and what stands behind it.
    fn split(&self) -> Result<(String, Vec<u8>)> {
        let tape = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let end = tape.windows(4).position(|four| four == b"\r\n\r\n").ok_or("no head")?;
        Ok((str::from_utf8(&tape[..end])?.to_owned(), tape[end + 4..].to_vec()))
    }

    /// The values of `Sec-WebSocket-Extensions`.
    pub(crate) fn extensions(&self) -> Result<String> {
        let (head, _) = self.split()?;
        let fields = head.lines().filter_map(|line| line.split_once(':'));
        let values = fields.filter(|(name, _)| name.eq_ignore_ascii_case("Sec-WebSocket-Extensions"));
        let values: Vec<&str> = values.map(|(_, value)| value.trim()).collect();
        Ok(if values.is_empty() { "(no field)".to_owned() } else { values.join(" | ") })
    }

    /// What its headers tell, frame by frame (RFC 6455 section 5.2).
    pub(crate) fn frames(&self) -> Result<Frames> {
        let (_, wire) = self.split()?;
        let mut rest = &wire[..];
        let mut frames = Frames::default();
        while let [first, second, behind @ ..] = rest {
            let extended = [0, 2, 8][usize::from((second & 0x7f).saturating_sub(125))];
            let (digits, behind) = behind.split_at_checked(extended).ok_or("cut off")?;
            let long = digits.iter().fold(0, |len: u64, digit| len << 8 | u64::from(*digit));
            let len = if extended == 0 { u64::from(second & 0x7f) } else { long };
            let key = if second & 0x80 == 0 { 0 } else { 4 };
            let (key, behind) = behind.split_at_checked(key).ok_or("cut off")?;
            let (payload, behind) = behind.split_at_checked(usize::try_from(len)?).ok_or("cut off")?;
            rest = behind;
            if first & 0x0f >= 0x8 {
                continue;
            }
            let fragment = first & 0x8f == 0x80 || first & 0x80 == 0;
            match (first & 0x40 != 0, fragment) {
                (true, false) => frames.compressed += 1,
                (true, true) => frames.compressed_fragments += 1,
                (false, false) => frames.plain += 1,
                (false, true) => frames.plain_fragments += 1,
            }
            if frames.first.is_empty() && len > 0 && first & 0x40 != 0 {
                frames.first = vec![*first, second & 0x7f];
                let key = if key.is_empty() { &[0][..] } else { key };
                frames.first.extend(payload.iter().take(16).zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
            }
            frames.empty += usize::from(len == 0);
            frames.bytes += len;
        }
        Ok(frames)
    }
}

impl fmt::Display for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { compressed, compressed_fragments, plain, plain_fragments, empty, bytes, first } = self;
        write!(f, "messages in one frame: {compressed} with RSV1, {plain} without; ")?;
        write!(
            f,
            "fragments: {compressed_fragments} with RSV1, {plain_fragments} without; {empty} empty; {bytes} bytes"
        )?;
        if first.is_empty() { Ok(()) } else { write!(f, "; first: {first:02x?}") }
    }
}
