//! The frame header (RFC 6455 section 5.2): decoding and encoding, usable alone, no allocation.
//!
//! ```text
//!  byte 0                byte 1             then
//! +-+-+-+-+-------+     +-+-------------+  +-------------------+---------------+
//! |F|R|R|R|opcode |     |M| 7-bit length|  | 0, 2 or 8 bytes   | 0 or 4 bytes  |
//! |I|S|S|S|  (4)  |     |A|     (7)     |  | of longer length  | masking key   |
//! |N|V|V|V|       |     |S|             |  | (126, 127)        | (MASK set)    |
//! +-+1+2+3+-------+     +K+-------------+  +-------------------+---------------+
//! ```
//!
//! What is checked here holds for every frame whatever came before it: known opcodes, control frames whole
//! and short, lengths minimal. Which bits and masks a connection allows is the business of
//! `inbound`.

use core::ops::Deref;

use bytes::BytesMut;

use crate::proto::error::ProtocolError;
use crate::proto::mask::{self, Mask};

/// The opcodes of RFC 6455 section 5.2; a value of this type is always a defined one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum OpCode {
    /// 0x0: the next fragment of the message in progress.
    Continuation = 0x0,
    /// 0x1: a text message, or its first fragment.
    Text = 0x1,
    /// 0x2: a binary message, or its first fragment.
    Binary = 0x2,
    /// 0x8: the closing handshake.
    Close = 0x8,
    /// 0x9: asks for a Pong with the same payload.
    Ping = 0x9,
    /// 0xA: answers a Ping.
    Pong = 0xa,
}

impl OpCode {
    /// Whether frames of this kind are control frames: whole, at most 125 bytes, allowed between fragments.
    #[must_use]
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

impl TryFrom<u8> for OpCode {
    type Error = ProtocolError;

    /// The opcode of this number.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::UnknownOpCode`] for every other number.
    fn try_from(opcode: u8) -> Result<Self, ProtocolError> {
        Ok(match opcode {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return Err(ProtocolError::UnknownOpCode(opcode)),
        })
    }
}

/// The reserved bits of a header, where they stand in its first byte: `0x40` is RSV1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Rsv(u8);

impl Rsv {
    /// No bit set.
    pub const NONE: Self = Self(0);
    /// RSV1: a compressed message where permessage-deflate was negotiated (RFC 7692 section 6).
    pub const RSV1: Self = Self(0x40);
    /// RSV2.
    pub const RSV2: Self = Self(0x20);
    /// RSV3.
    pub const RSV3: Self = Self(0x10);

    /// The three bits of a header's first byte; its other bits are ignored.
    #[must_use]
    pub const fn from_first_byte(byte: u8) -> Self {
        Self(byte & 0x70)
    }

    /// The bits, where they stand in the first byte.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether every bit of `self` is also one of `allowed`.
    #[must_use]
    pub const fn is_within(self, allowed: Self) -> bool {
        self.0 & !allowed.0 == 0
    }
}

impl core::ops::BitOr for Rsv {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl core::ops::BitAnd for Rsv {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// A frame header.
///
/// ```
/// use bowsprit::{Header, Mask, OpCode};
///
/// let (header, size) = Header::decode(b"\x81\x85\x37\xfa\x21\x3d")?.unwrap();
/// assert_eq!(size, 6);
/// assert_eq!((header.opcode, header.fin, header.len), (OpCode::Text, true, 5));
/// assert_eq!(header.mask, Some(Mask([0x37, 0xfa, 0x21, 0x3d])));
/// assert_eq!(&header.encode()[..], b"\x81\x85\x37\xfa\x21\x3d");
/// assert_eq!(Header::decode(b"\x81\x85\x37")?, None); // needs more bytes
/// # Ok::<(), bowsprit::ProtocolError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Whether this is the last fragment of its message.
    pub fin: bool,
    /// The reserved bits.
    pub rsv: Rsv,
    /// What the payload is.
    pub opcode: OpCode,
    /// The masking key, on frames from a client.
    pub mask: Option<Mask>,
    /// The payload's length in bytes, below 2^63.
    pub len: u64,
}

impl Header {
    /// The longest header in bytes.
    pub const MAX_SIZE: usize = 14;

    /// The header of a whole, unmasked frame without reserved bits.
    #[must_use]
    pub const fn new(opcode: OpCode, len: u64) -> Self {
        Self { fin: true, rsv: Rsv::NONE, opcode, mask: None, len }
    }

    /// Reads a header and its size in bytes from the start of `bytes`; `None` when it needs more of them.
    ///
    /// Each rule is checked as soon as the byte that can break it is there, so that the error is the same
    /// however the bytes were cut.
    ///
    /// # Errors
    ///
    /// [`UnknownOpCode`](ProtocolError::UnknownOpCode),
    /// [`FragmentedControl`](ProtocolError::FragmentedControl),
    /// [`ControlTooLong`](ProtocolError::ControlTooLong),
    /// [`NonMinimalLength`](ProtocolError::NonMinimalLength) and
    /// [`LengthOverflow`](ProtocolError::LengthOverflow).
    #[inline]
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, ProtocolError> {
        Ok(HeaderPrefix::decode(bytes)?.and_then(|prefix| prefix.complete(bytes)))
    }

    /// Writes the header, with its length in the shortest form.
    #[inline]
    #[must_use]
    pub fn encode(&self) -> HeaderBytes {
        let first = u8::from(self.fin) << 7 | self.rsv.bits() | self.opcode as u8;
        let masked = if self.mask.is_some() { 0x80 } else { 0 };
        // One integer, its lowest byte first: it stays in registers until it is stored at once.
        let (second, len, mut size) = if let Ok(short @ ..=125) = u8::try_from(self.len) {
            (short, 0, 2)
        } else if let Ok(len) = u16::try_from(self.len) {
            (126, u64::from(len.swap_bytes()), 4)
        } else {
            (127, self.len.swap_bytes(), 10)
        };
        let mut bytes = u128::from(first) | u128::from(masked | second) << 8 | u128::from(len) << 16;
        if let Some(Mask(key)) = self.mask {
            bytes |= u128::from(u32::from_le_bytes(key)) << (8 * size);
            size += 4;
        }
        HeaderBytes { bytes: bytes.to_le_bytes(), size }
    }

    /// Appends the frame to `output`: this header and the `payload`, masked if the header has a key.
    #[inline]
    pub(in crate::proto) fn append(&self, payload: &[u8], output: &mut BytesMut) {
        let HeaderBytes { bytes, size } = self.encode();
        output.reserve(bytes.len() + payload.len());
        // More than there is, then cut: a copy of constant length is no call.
        let start = output.len();
        output.extend_from_slice(&bytes);
        output.truncate(start + size);
        match self.mask {
            Some(mask) => mask.append(payload, output),
            None => mask::append_plain(payload, output),
        }
    }
}

/// A header up to its length, which can be judged before the masking key behind it has arrived.
#[derive(Clone, Copy, Debug)]
pub(in crate::proto) struct HeaderPrefix {
    fin: bool,
    rsv: Rsv,
    opcode: OpCode,
    masked: bool,
    pub(in crate::proto) len: u64,
    /// In bytes, without the key: 2, 4 or 10.
    size: usize,
}

impl HeaderPrefix {
    #[inline]
    pub(in crate::proto) fn decode(bytes: &[u8]) -> Result<Option<Self>, ProtocolError> {
        let [first, rest @ ..] = bytes else { return Ok(None) };
        let opcode = OpCode::try_from(first & 0x0f)?;
        let fin = first & 0x80 != 0;
        // RFC 6455 section 5.4: "Control frames themselves MUST NOT be fragmented."
        if opcode.is_control() && !fin {
            return Err(ProtocolError::FragmentedControl);
        }
        let [second, rest @ ..] = rest else { return Ok(None) };
        let short = second & 0x7f;
        // RFC 6455 section 5.5: 125 bytes at most; the longer forms are already too long.
        if opcode.is_control() && short > 125 {
            return Err(ProtocolError::ControlTooLong);
        }
        let (len, size) = match (short, rest) {
            (..=125, _) => (u64::from(short), 2),
            (126, [a, b, ..]) => (u64::from(u16::from_be_bytes([*a, *b])), 4),
            (127, [a, b, c, d, e, f, g, h, ..]) => (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), 10),
            _ => return Ok(None),
        };
        // RFC 6455 section 5.2: "the most significant bit MUST be 0"
        if len >> 63 != 0 {
            return Err(ProtocolError::LengthOverflow);
        }
        // RFC 6455 section 5.2: "the minimal number of bytes MUST be used to encode the length"
        if (size == 4 && len < 126) || (size == 10 && len < 0x1_0000) {
            return Err(ProtocolError::NonMinimalLength);
        }
        let rsv = Rsv::from_first_byte(*first);
        Ok(Some(Self { fin, rsv, opcode, masked: second & 0x80 != 0, len, size }))
    }

    /// The whole header and its size, with the key out of the same `bytes`; `None` when it is not there yet.
    #[inline]
    pub(in crate::proto) fn complete(self, bytes: &[u8]) -> Option<(Header, usize)> {
        let Self { fin, rsv, opcode, masked, len, size } = self;
        if !masked {
            return Some((Header { fin, rsv, opcode, mask: None, len }, size));
        }
        let key = bytes.get(size..)?.first_chunk()?;
        Some((Header { fin, rsv, opcode, mask: Some(Mask(*key)), len }, size + 4))
    }
}

/// An encoded header, on the stack; derefs to its 2 to 14 bytes.
#[derive(Clone, Copy, Debug)]
pub struct HeaderBytes {
    bytes: [u8; 16],
    /// 2 to 14.
    size: usize,
}

impl Deref for HeaderBytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.size]
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn reserved_bits_are_joined_and_compared_as_sets() {
        let two = Rsv::RSV1 | Rsv::RSV3;
        assert_eq!((two.bits(), (Rsv::RSV1 | Rsv::RSV1).bits()), (0x50, 0x40));
        assert!(Rsv::RSV3.is_within(two) && Rsv::NONE.is_within(Rsv::NONE));
        assert!(!Rsv::RSV2.is_within(two) && !two.is_within(Rsv::RSV1));
        assert_eq!((two & Rsv::RSV3, two & Rsv::RSV2), (Rsv::RSV3, Rsv::NONE));
    }

    #[test]
    fn an_appended_frame_is_its_header_and_its_payload() {
        for len in (0..=300).chain([0xffff, 0x1_0000]) {
            let payload: Vec<u8> = (0..=0xff).cycle().take(len).collect();
            for mask in [None, Some(Mask([0x37, 0xfa, 0x21, 0x3d]))] {
                let header = Header { mask, ..Header::new(OpCode::Binary, len as u64) };
                let mut output = BytesMut::from(&b"there"[..]);
                header.append(&payload, &mut output);

                let key = mask.map_or([0; 4], |mask| mask.0);
                let masked: Vec<u8> = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
                assert_eq!(output, [&b"there"[..], &header.encode(), &masked].concat(), "{len} bytes, {mask:?}");
            }
        }
    }
}
