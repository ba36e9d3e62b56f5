//! The registers of x86-64 as blocks.

use core::arch::x86_64::{
    __m128i, __m256i, __m512i, _mm_loadu_si128, _mm_set1_epi32, _mm_storeu_si128, _mm_xor_si128, _mm256_loadu_si256,
    _mm256_set1_epi32, _mm256_storeu_si256, _mm256_xor_si256, _mm512_loadu_si512, _mm512_set1_epi32,
    _mm512_storeu_si512, _mm512_xor_si512,
};

use super::Mask;
use super::block::{Block, long};

/// Asked once at run time, or known when the crate is built.
#[inline]
pub(super) fn has_avx2() -> bool {
    #[cfg(feature = "std")]
    {
        std::arch::is_x86_feature_detected!("avx2")
    }
    #[cfg(not(feature = "std"))]
    {
        cfg!(target_feature = "avx2")
    }
}

/// Asked once at run time, or known when the crate is built.
#[inline]
pub(super) fn has_avx512() -> bool {
    #[cfg(feature = "std")]
    {
        std::arch::is_x86_feature_detected!("avx512f")
    }
    #[cfg(not(feature = "std"))]
    {
        cfg!(target_feature = "avx512f")
    }
}

/// # Safety
///
/// As [`long`], with at least 32 bytes.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn avx2(from: *const u8, to: *mut u8, len: usize, mask: Mask) {
    // SAFETY: the caller's promise.
    unsafe { long::<__m256i>(from, to, len, mask) }
}

/// # Safety
///
/// As [`long`], with at least 64 bytes.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn avx512(from: *const u8, to: *mut u8, len: usize, mask: Mask) {
    // SAFETY: the caller's promise.
    unsafe { long::<__m512i>(from, to, len, mask) }
}

impl Block for __m128i {
    #[inline(always)]
    unsafe fn load(from: *const u8, Mask(key): Mask) -> Self {
        // SAFETY: the caller's promise; every x86-64 processor has SSE2.
        unsafe { _mm_xor_si128(_mm_loadu_si128(from.cast()), _mm_set1_epi32(i32::from_ne_bytes(key))) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        // SAFETY: the caller's promise; every x86-64 processor has SSE2.
        unsafe { _mm_storeu_si128(to.cast(), self) }
    }
}

impl Block for __m256i {
    #[inline(always)]
    unsafe fn load(from: *const u8, Mask(key): Mask) -> Self {
        // SAFETY: the caller's promise.
        unsafe { _mm256_xor_si256(_mm256_loadu_si256(from.cast()), _mm256_set1_epi32(i32::from_ne_bytes(key))) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { _mm256_storeu_si256(to.cast(), self) }
    }
}

impl Block for __m512i {
    #[inline(always)]
    unsafe fn load(from: *const u8, Mask(key): Mask) -> Self {
        // SAFETY: the caller's promise.
        unsafe { _mm512_xor_si512(_mm512_loadu_si512(from.cast()), _mm512_set1_epi32(i32::from_ne_bytes(key))) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { _mm512_storeu_si512(to.cast(), self) }
    }
}
