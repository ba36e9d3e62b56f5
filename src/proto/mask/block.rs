//! The XOR itself, in blocks that overlap at the ends; one algorithm for every size of block.
//!
//! The functions read from `from` and write to `to`, which are either the same or apart: so one kernel masks in
//! place, and while copying into memory that is not initialised yet. Blocks that may overlap are all loaded
//! before one of them is stored:
//!
//! ```text
//!   |<-- first block -->|
//!               |<-- last block -->|        what lies in both is written twice, the same
//! ```

use super::Mask;

/// Bytes that are masked at once.
pub(super) trait Block: Copy {
    /// The masked block at `from`, which need not be aligned.
    ///
    /// # Safety
    ///
    /// `from` is valid for reads of a block, and the processor has the instructions for it.
    unsafe fn load(from: *const u8, mask: Mask) -> Self;

    /// # Safety
    ///
    /// `to` is valid for writes of a block, and the processor has the instructions for it.
    unsafe fn store(self, to: *mut u8);
}

/// The widest block that needs no question to the processor.
#[cfg(target_arch = "x86_64")]
pub(super) type Wide = core::arch::x86_64::__m128i;
#[cfg(not(target_arch = "x86_64"))]
pub(super) type Wide = [u64; 2];

/// The longest payload in bytes that [`short`] takes.
pub(super) const SHORT: usize = 128;

/// Writes to `to` the `len` masked bytes at `from`, all of them: at most [`SHORT`].
///
/// # Safety
///
/// `from` is valid for reads and `to` for writes of `len` bytes, and they are equal or do not overlap. `len` is at most
/// [`SHORT`]: of more, the middle would stay unwritten.
#[inline(always)]
pub(super) unsafe fn short(from: *const u8, to: *mut u8, len: usize, mask: Mask) {
    // SAFETY: the caller's promise; each arm has the lengths that its function takes.
    unsafe {
        match len {
            0 => {}
            1..=3 => bytes(from, to, len, mask),
            4..=7 => pair::<u32>(from, to, len, mask),
            8..=15 => pair::<u64>(from, to, len, mask),
            16..=32 => pair::<Wide>(from, to, len, mask),
            33..=64 => pair::<[Wide; 2]>(from, to, len, mask),
            _ => pair::<[Wide; 4]>(from, to, len, mask),
        }
    }
}

/// 1 to 3 bytes: the first, the middle and the last, which may be the same.
///
/// # Safety
///
/// As [`short`], with 1 to 3 bytes.
#[inline(always)]
unsafe fn bytes(from: *const u8, to: *mut u8, len: usize, Mask(key): Mask) {
    let (middle, last) = (len / 2, len - 1);
    // SAFETY: 0, `middle` and `last` are below `len`.
    unsafe {
        let (a, b, c) = (*from, *from.add(middle), *from.add(last));
        to.write(a ^ key[0]);
        to.add(middle).write(b ^ key[middle]);
        to.add(last).write(c ^ key[last]);
    }
}

/// One to two blocks.
///
/// # Safety
///
/// As [`short`], with a length of one to two blocks, and the processor has the instructions for `B`.
#[inline(always)]
pub(super) unsafe fn pair<B: Block>(from: *const u8, to: *mut u8, len: usize, mask: Mask) {
    let last = len - size_of::<B>();
    // SAFETY: both blocks lie within `len`.
    unsafe {
        let first_block = B::load(from, mask);
        let last_block = B::load(from.add(last), mask.skip(last as u64));
        first_block.store(to);
        last_block.store(to.add(last));
    }
}

/// One block or more: aligned stores between a block at each end.
///
/// # Safety
///
/// `from` is valid for reads and `to` for writes of `len` bytes, and they are equal or do not overlap; `len` is at least
/// a block, and the processor has the instructions for `B`.
#[inline(always)]
pub(super) unsafe fn long<B: Block>(from: *const u8, to: *mut u8, len: usize, mask: Mask) {
    let size = size_of::<B>();
    let last = len - size;
    // SAFETY: every block begins at 0 at least and at `last` at most. The blocks of the loop are loaded before
    // they are stored and go upwards, and the two at the ends are loaded first and stored last.
    unsafe {
        let first_block = B::load(from, mask);
        let last_block = B::load(from.add(last), mask.skip(last as u64));
        // Stores across cache lines cost more than such loads.
        let mut at = to.addr().wrapping_neg() % size;
        let mask = mask.skip(at as u64);
        while at + 4 * size <= len {
            <[B; 4]>::load(from.add(at), mask).store(to.add(at));
            at += 4 * size;
        }
        for _ in 0..3 {
            if at + size <= len {
                B::load(from.add(at), mask).store(to.add(at));
                at += size;
            }
        }
        first_block.store(to);
        last_block.store(to.add(last));
    }
}

impl Block for u32 {
    #[inline(always)]
    unsafe fn load(from: *const u8, Mask(key): Mask) -> Self {
        // SAFETY: the caller's promise.
        unsafe { from.cast::<Self>().read_unaligned() ^ Self::from_ne_bytes(key) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<Self>().write_unaligned(self) }
    }
}

impl Block for u64 {
    #[inline(always)]
    unsafe fn load(from: *const u8, Mask(key): Mask) -> Self {
        let key = Self::from(u32::from_ne_bytes(key));
        // SAFETY: the caller's promise.
        unsafe { from.cast::<Self>().read_unaligned() ^ (key << 32 | key) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<Self>().write_unaligned(self) }
    }
}

/// Blocks side by side.
impl<B: Block, const N: usize> Block for [B; N] {
    #[inline(always)]
    unsafe fn load(from: *const u8, mask: Mask) -> Self {
        // SAFETY: the caller's promise; a block is as long as four bytes of the key, or several times as long.
        core::array::from_fn(|i| unsafe { B::load(from.add(i * size_of::<B>()), mask) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        for (i, block) in self.into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { block.store(to.add(i * size_of::<B>())) }
        }
    }
}
