//! Masking: the payload XOR a 4-byte key, over and over (RFC 6455 section 5.3).
//!
//! Most payloads are short: they take a few overlapping words and no call. Long ones take the widest registers
//! there are: found at run time under the feature `std`, else what the build was told (`-C target-feature`).

#![expect(
    unsafe_code,
    reason = "in place and in one pass, with the widest registers; compared with a naive loop in its tests"
)]

mod block;
#[cfg(target_arch = "x86_64")]
mod x86;

use alloc::vec::Vec;
use core::mem::MaybeUninit;

use bytes::BytesMut;

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
    /// The key that leaves every byte as it is.
    const NONE: Self = Self([0; 4]);

    /// The key as the byte at `offset` of the payload sees it: its phase after `offset` bytes.
    #[inline]
    #[must_use]
    pub const fn skip(self, offset: u64) -> Self {
        let phase = (offset % 4) as u32;
        Self(u32::from_le_bytes(self.0).rotate_right(8 * phase).to_le_bytes())
    }

    /// Masks or unmasks `payload` in place.
    #[inline]
    pub fn apply(self, payload: &mut [u8]) {
        let at = payload.as_mut_ptr();
        // SAFETY: in place, over the whole slice.
        unsafe { xor(at, at, payload.len(), self) }
    }

    /// Appends the masked `payload` to `output`, in one pass.
    ///
    /// # Panics
    ///
    /// As [`BytesMut::reserve`], when `output` would be longer than `usize` or memory can hold.
    #[inline(always)]
    pub fn append(self, payload: &[u8], output: &mut BytesMut) {
        output.reserve(payload.len());
        self.write(payload, output.spare_capacity_mut());
        // SAFETY: `write` has initialised as many bytes behind the length.
        unsafe { output.set_len(output.len() + payload.len()) }
    }

    /// As [`append`](Mask::append), to a `Vec`.
    #[inline]
    pub(in crate::proto) fn append_vec(self, payload: &[u8], output: &mut Vec<u8>) {
        output.reserve(payload.len());
        self.write(payload, output.spare_capacity_mut());
        // SAFETY: `write` has initialised as many bytes behind the length.
        unsafe { output.set_len(output.len() + payload.len()) }
    }

    /// Initialises the first bytes of `output` with the masked `payload`.
    ///
    /// # Panics
    ///
    /// When `output` is shorter than `payload`.
    #[inline]
    fn write(self, payload: &[u8], output: &mut [MaybeUninit<u8>]) {
        let output = &mut output[..payload.len()];
        // SAFETY: a shared and an exclusive slice of the same length do not overlap.
        unsafe { xor(payload.as_ptr(), output.as_mut_ptr().cast(), payload.len(), self) }
    }
}

/// Appends `payload` to `output` as it is; short ones without a call of `memcpy`.
#[inline]
pub(in crate::proto) fn append_plain(payload: &[u8], output: &mut BytesMut) {
    if payload.len() > block::SHORT {
        output.extend_from_slice(payload);
    } else {
        Mask::NONE.append(payload, output);
    }
}

/// Writes to `to` the `len` masked bytes at `from`, all of them.
///
/// # Safety
///
/// `from` is valid for reads and `to` for writes of `len` bytes, and they are equal or do not overlap.
#[inline(always)]
unsafe fn xor(from: *const u8, to: *mut u8, len: usize, mask: Mask) {
    // SAFETY: the caller's promise, and the length that each asks for.
    unsafe {
        if len <= block::SHORT {
            block::short(from, to, len, mask);
        } else {
            long(from, to, len, mask);
        }
    }
}

/// The best for more than [`block::SHORT`] bytes that this processor has.
///
/// # Safety
///
/// As [`xor`], with more than [`block::SHORT`] bytes.
#[inline(never)]
unsafe fn long(from: *const u8, to: *mut u8, len: usize, mask: Mask) {
    // SAFETY: the caller's promise; each function stands behind the question for its target feature.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        {
            if x86::has_avx512() {
                return x86::avx512(from, to, len, mask);
            }
            if x86::has_avx2() {
                return x86::avx2(from, to, len, mask);
            }
        }
        baseline(from, to, len, mask);
    }
}

/// # Safety
///
/// As [`xor`], with at least 16 bytes.
unsafe fn baseline(from: *const u8, to: *mut u8, len: usize, mask: Mask) {
    // SAFETY: the caller's promise.
    unsafe { block::long::<block::Wide>(from, to, len, mask) }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    const MASK: Mask = Mask([0x37, 0xfa, 0x21, 0x3d]);
    const GUARD: u8 = 0xa5;

    /// RFC 6455 section 5.3, to the letter.
    fn naive(payload: &[u8], Mask(key): Mask) -> Vec<u8> {
        payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect()
    }

    fn payload(len: usize) -> Vec<u8> {
        (0..=0xff_u8).cycle().zip(0..len).map(|(byte, i)| byte.wrapping_mul(7) ^ u8::from(i % 257 == 0)).collect()
    }

    type Backend = unsafe fn(*const u8, *mut u8, usize, Mask);

    /// Everything that this processor can run, with the lengths that it takes.
    fn backends() -> Vec<(&'static str, Backend, usize, usize)> {
        let everywhere: [(_, Backend, _, _); 5] = [
            ("dispatch", xor, 0, usize::MAX),
            ("short", block::short, 0, block::SHORT),
            ("pair", block::pair::<[u64; 2]>, 16, 32),
            ("portable", block::long::<[u64; 2]>, 16, usize::MAX),
            ("baseline", baseline, 16, usize::MAX),
        ];
        #[cfg(target_arch = "x86_64")]
        let wide: [(_, (_, Backend, _, _)); 2] = [
            (x86::has_avx2(), ("avx2", x86::avx2, 32, usize::MAX)),
            (x86::has_avx512(), ("avx512", x86::avx512, 64, usize::MAX)),
        ];
        #[cfg(not(target_arch = "x86_64"))]
        let wide: [(_, (_, Backend, _, _)); 0] = [];
        let wide = wide.into_iter().filter_map(|(has, backend)| has.then_some(backend));
        everywhere.into_iter().chain(wide).collect()
    }

    /// `count` bytes between guards, the first of them `align` bytes behind a cache line.
    struct Guarded {
        bytes: Vec<u8>,
        start: usize,
    }

    impl Guarded {
        fn new(align: usize, count: usize) -> Self {
            let bytes = vec![GUARD; count + 256];
            let start = bytes.as_ptr().align_offset(64) + 64 + align;
            Self { bytes, start }
        }

        fn at(&mut self) -> *mut u8 {
            self.bytes[self.start..].as_mut_ptr()
        }

        fn is(&self, expected: &[u8]) -> bool {
            let (before, rest) = self.bytes.split_at(self.start);
            let (inside, after) = rest.split_at(expected.len());
            inside == expected && before.iter().chain(after).all(|byte| *byte == GUARD)
        }
    }

    fn check(name: &str, backend: Backend, len: usize, aligns: impl Iterator<Item = usize>, mask: Mask) {
        let payload = payload(len);
        let expected = naive(&payload, mask);
        for align in aligns {
            let mut place = Guarded::new(align, len);
            place.bytes[place.start..place.start + len].copy_from_slice(&payload);
            let at = place.at();
            // SAFETY: `len` bytes from `at` on are in the allocation; the backend takes this length.
            unsafe { backend(at, at, len, mask) };
            assert!(place.is(&expected), "{name} in place, {len} bytes at {align}, {mask:?}");

            let mut place = Guarded::new(align, len);
            let from = (align * 5 + 3) % 64;
            let source = [vec![0; from], payload.clone()].concat();
            // SAFETY: as above, and the allocations are apart.
            unsafe { backend(source[from..].as_ptr(), place.at(), len, mask) };
            assert!(place.is(&expected), "{name} copying, {len} bytes at {align}, {mask:?}");
        }
    }

    #[test]
    fn every_backend_masks_every_length_at_every_alignment() {
        for (name, backend, min, max) in backends() {
            for len in (0..=300).filter(|len| (min..=max).contains(len)) {
                check(name, backend, len, 0..64, MASK.skip(len as u64 / 7));
            }
        }
    }

    #[test]
    fn every_backend_masks_in_every_phase() {
        for (name, backend, min, max) in backends() {
            for len in (0..=300).chain([511, 512, 513, 1027, 4096, 5001]).filter(|len| (min..=max).contains(len)) {
                for phase in 0..4 {
                    check(name, backend, len, [0, 1, 6, 31, 63].into_iter(), MASK.skip(phase));
                }
            }
        }
    }

    #[test]
    fn skip_is_the_phase_of_the_key() {
        let keys =
            [[0x37, 0xfa, 0x21, 0x3d], [0xfa, 0x21, 0x3d, 0x37], [0x21, 0x3d, 0x37, 0xfa], [0x3d, 0x37, 0xfa, 0x21]];
        for offset in (0..9).chain([(1 << 32) + 1, u64::MAX]) {
            assert_eq!(MASK.skip(offset), Mask(keys[(offset % 4) as usize]), "{offset}");
        }
    }

    #[test]
    fn a_cut_payload_is_masked_as_the_whole_one() {
        let payload = payload(300);
        for cut in 0..=300 {
            let mut pieces = payload.clone();
            let (head, tail) = pieces.split_at_mut(cut);
            MASK.apply(head);
            MASK.skip(cut as u64).apply(tail);
            assert_eq!(pieces, naive(&payload, MASK), "{cut}");
        }
    }

    #[test]
    fn appending_keeps_what_is_there_and_the_payload() {
        for len in (0..=300).chain([5000]) {
            let payload = payload(len);
            let expected = [&b"there"[..], &naive(&payload, MASK)].concat();

            let mut output = BytesMut::from(&b"there"[..]);
            MASK.append(&payload, &mut output);
            assert_eq!(output, expected);

            let mut buffer = b"there".to_vec();
            MASK.append_vec(&payload, &mut buffer);
            assert_eq!(buffer, expected);
        }
    }
}
