//! Masking: the payload XOR a 4-byte key, over and over (RFC 6455 section 5.3).

use bytes::{BufMut, BytesMut};

/// A masking key.
///
/// Masking and unmasking are the same operation. A payload that arrives in pieces keeps its phase through
/// [`skip`](Mask::skip).
///
/// ```
/// use bowsprit::Mask;
///
/// let mask = Mask([0x37, 0xfa, 0x21, 0x3d]);
/// let mut payload = *b"\x7f\x9f\x4d\x51\x58";
/// mask.apply(&mut payload[..2]);
/// mask.skip(2).apply(&mut payload[2..]);
/// assert_eq!(&payload, b"Hello");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mask(pub [u8; 4]);

impl Mask {
    /// The key as the byte at `offset` of the payload sees it: its phase after `offset` bytes.
    #[must_use]
    pub const fn skip(self, offset: u64) -> Self {
        let Self(k) = self;
        match offset % 4 {
            0 => self,
            1 => Self([k[1], k[2], k[3], k[0]]),
            2 => Self([k[2], k[3], k[0], k[1]]),
            _ => Self([k[3], k[0], k[1], k[2]]),
        }
    }

    /// Masks or unmasks `payload` in place.
    pub fn apply(self, payload: &mut [u8]) {
        for (i, byte) in payload.iter_mut().enumerate() {
            *byte ^= self.0[i % 4];
        }
    }

    /// Appends the masked `payload` to `output`, in one pass.
    pub fn append(self, payload: &[u8], output: &mut BytesMut) {
        output.reserve(payload.len());
        for (i, byte) in payload.iter().enumerate() {
            output.put_u8(byte ^ self.0[i % 4]);
        }
    }

    /// Appends the masked `payload` to `buffer`, in one pass.
    pub(crate) fn append_vec(self, payload: &[u8], buffer: &mut alloc::vec::Vec<u8>) {
        buffer.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ self.0[i % 4]));
    }
}

/// Appends a frame to `output`: header and payload, masked where there is a mask, with one reservation.
pub(crate) fn append_frame(header: &[u8], mask: Option<Mask>, payload: &[u8], output: &mut BytesMut) {
    output.reserve(header.len() + payload.len());
    output.put_slice(header);
    match mask {
        Some(mask) => mask.append(payload, output),
        None => output.put_slice(payload),
    }
}
