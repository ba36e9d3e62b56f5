//! The floor's XOR: the best that we know on x86-64, for measurement only (no portability, no dispatch discipline).
use std::arch::x86_64::*;

#[inline(always)]
unsafe fn ld64(p: *const u8) -> u64 {
    (p as *const u64).read_unaligned()
}
#[inline(always)]
unsafe fn ld32(p: *const u8) -> u32 {
    (p as *const u32).read_unaligned()
}

/// dst and src either the same or disjoint. Tails by overlapping blocks loaded before any store.
#[inline(always)]
pub unsafe fn xor_to(src: *const u8, dst: *mut u8, n: usize, key: u32) {
    if n >= 16 {
        if n <= 64 {
            let tk = key.rotate_right(8 * (n as u32 & 3));
            let k = _mm_set1_epi32(key as i32);
            let t = _mm_xor_si128(_mm_loadu_si128(src.add(n - 16).cast()), _mm_set1_epi32(tk as i32));
            let a = _mm_xor_si128(_mm_loadu_si128(src.cast()), k);
            if n > 32 {
                let b = _mm_xor_si128(_mm_loadu_si128(src.add(16).cast()), k);
                let t2 = _mm_xor_si128(_mm_loadu_si128(src.add(n - 32).cast()), _mm_set1_epi32(tk as i32));
                _mm_storeu_si128(dst.add(16).cast(), b);
                _mm_storeu_si128(dst.add(n - 32).cast(), t2);
            }
            _mm_storeu_si128(dst.cast(), a);
            _mm_storeu_si128(dst.add(n - 16).cast(), t);
            return;
        }
        if is_x86_feature_detected!("avx2") {
            return xor_avx2(src, dst, n, key);
        }
        return xor_sse2(src, dst, n, key);
    }
    let tk = key.rotate_right(8 * (n as u32 & 3));
    if n >= 8 {
        let k = key as u64 | (key as u64) << 32;
        let t = ld64(src.add(n - 8)) ^ (tk as u64 | (tk as u64) << 32);
        let a = ld64(src) ^ k;
        (dst as *mut u64).write_unaligned(a);
        (dst.add(n - 8) as *mut u64).write_unaligned(t);
    } else if n >= 4 {
        let t = ld32(src.add(n - 4)) ^ tk;
        let a = ld32(src) ^ key;
        (dst as *mut u32).write_unaligned(a);
        (dst.add(n - 4) as *mut u32).write_unaligned(t);
    } else {
        let kb = key.to_ne_bytes();
        for i in 0..n {
            *dst.add(i) = *src.add(i) ^ kb[i]
        }
    }
}
#[inline(never)]
unsafe fn xor_sse2(src: *const u8, dst: *mut u8, n: usize, key: u32) {
    let k = _mm_set1_epi32(key as i32);
    let tk = _mm_set1_epi32(key.rotate_right(8 * (n as u32 & 3)) as i32);
    let t = _mm_xor_si128(_mm_loadu_si128(src.add(n - 16).cast()), tk);
    let mut i = 0;
    while i + 16 < n {
        _mm_storeu_si128(dst.add(i).cast(), _mm_xor_si128(_mm_loadu_si128(src.add(i).cast()), k));
        i += 16
    }
    _mm_storeu_si128(dst.add(n - 16).cast(), t);
}
#[target_feature(enable = "avx2")]
#[inline(never)]
pub unsafe fn xor_avx2(src: *const u8, dst: *mut u8, n: usize, key: u32) {
    let k = _mm256_set1_epi32(key as i32);
    let tk = _mm256_set1_epi32(key.rotate_right(8 * (n as u32 & 3)) as i32);
    let t = _mm256_xor_si256(_mm256_loadu_si256(src.add(n - 32).cast()), tk);
    let mut i = 0;
    while i + 128 < n {
        let a = _mm256_xor_si256(_mm256_loadu_si256(src.add(i).cast()), k);
        let b = _mm256_xor_si256(_mm256_loadu_si256(src.add(i + 32).cast()), k);
        let c = _mm256_xor_si256(_mm256_loadu_si256(src.add(i + 64).cast()), k);
        let d = _mm256_xor_si256(_mm256_loadu_si256(src.add(i + 96).cast()), k);
        _mm256_storeu_si256(dst.add(i).cast(), a);
        _mm256_storeu_si256(dst.add(i + 32).cast(), b);
        _mm256_storeu_si256(dst.add(i + 64).cast(), c);
        _mm256_storeu_si256(dst.add(i + 96).cast(), d);
        i += 128;
    }
    while i + 32 < n {
        _mm256_storeu_si256(dst.add(i).cast(), _mm256_xor_si256(_mm256_loadu_si256(src.add(i).cast()), k));
        i += 32
    }
    _mm256_storeu_si256(dst.add(n - 32).cast(), t);
}
#[target_feature(enable = "avx512f,avx512bw")]
#[inline(never)]
pub unsafe fn xor_avx512(src: *const u8, dst: *mut u8, n: usize, key: u32) {
    let k = _mm512_set1_epi32(key as i32);
    let mut i = 0;
    while i + 256 <= n {
        let a = _mm512_xor_si512(_mm512_loadu_si512(src.add(i).cast()), k);
        let b = _mm512_xor_si512(_mm512_loadu_si512(src.add(i + 64).cast()), k);
        let c = _mm512_xor_si512(_mm512_loadu_si512(src.add(i + 128).cast()), k);
        let d = _mm512_xor_si512(_mm512_loadu_si512(src.add(i + 192).cast()), k);
        _mm512_storeu_si512(dst.add(i).cast(), a);
        _mm512_storeu_si512(dst.add(i + 64).cast(), b);
        _mm512_storeu_si512(dst.add(i + 128).cast(), c);
        _mm512_storeu_si512(dst.add(i + 192).cast(), d);
        i += 256;
    }
    while i + 64 <= n {
        _mm512_storeu_si512(dst.add(i).cast(), _mm512_xor_si512(_mm512_loadu_si512(src.add(i).cast()), k));
        i += 64
    }
    if i < n {
        let m: __mmask64 = !0u64 >> (64 - (n - i));
        _mm512_mask_storeu_epi8(
            dst.add(i).cast(),
            m,
            _mm512_xor_si512(_mm512_maskz_loadu_epi8(m, src.add(i).cast()), k),
        );
    }
}
pub fn ideal(buf: &mut [u8], mask: [u8; 4]) {
    unsafe {
        let p = buf.as_mut_ptr();
        xor_to(p, p, buf.len(), u32::from_ne_bytes(mask))
    }
}
pub fn ideal512(buf: &mut [u8], mask: [u8; 4]) {
    unsafe {
        let p = buf.as_mut_ptr();
        xor_avx512(p, p, buf.len(), u32::from_ne_bytes(mask))
    }
}
/// 64-byte-aligned head with a masked store, then aligned zmm blocks: what AVX-512 likes on a misaligned buffer.
pub fn ideal512a(buf: &mut [u8], mask: [u8; 4]) {
    if buf.len() < 256 {
        return ideal(buf, mask);
    }
    unsafe { xor512_aligned(buf.as_mut_ptr(), buf.len(), u32::from_ne_bytes(mask)) }
}
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn xor512_aligned(p: *mut u8, n: usize, key: u32) {
    let head = (64 - (p as usize & 63)) & 63;
    let k0 = _mm512_set1_epi32(key as i32);
    if head != 0 {
        let m: __mmask64 = (1u64 << head) - 1;
        _mm512_mask_storeu_epi8(p.cast(), m, _mm512_xor_si512(_mm512_maskz_loadu_epi8(m, p.cast()), k0));
    }
    xor_avx512(p.add(head), p.add(head), n - head, key.rotate_right(8 * (head as u32 & 3)));
}
