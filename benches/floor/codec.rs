//! The floor of the codec, for measurement only: one contiguous read buffer, in-place unmask, borrowed payloads, no
//! allocation, header checks, simdutf8 for text. No control frames, no close, no limits: a lower bound, not a crate.
//! Feed it a reader that copies from a cyclic wire of masked frames, at most 64 KiB a call. Needs `simdutf8`.
use super::masks::xor_to;
use std::io::Read;

/// simdutf8 takes the scalar path under 64 bytes: pad short input to one block, ASCII first.
#[inline(always)]
pub fn utf8_ok(s: &[u8]) -> bool {
    if s.len() >= 64 {
        return simdutf8::basic::from_utf8(s).is_ok();
    }
    unsafe {
        use std::arch::x86_64::*;
        let (p, n) = (s.as_ptr(), s.len());
        let hi = if n >= 16 {
            let mut v = _mm_or_si128(_mm_loadu_si128(p.cast()), _mm_loadu_si128(p.add(n - 16).cast()));
            if n > 32 {
                v = _mm_or_si128(
                    v,
                    _mm_or_si128(_mm_loadu_si128(p.add(16).cast()), _mm_loadu_si128(p.add(n - 32).cast())),
                )
            }
            _mm_movemask_epi8(v) as u64
        } else if n >= 8 {
            ((p as *const u64).read_unaligned() | (p.add(n - 8) as *const u64).read_unaligned()) & 0x8080808080808080
        } else if n >= 4 {
            (((p as *const u32).read_unaligned() | (p.add(n - 4) as *const u32).read_unaligned()) & 0x80808080) as u64
        } else {
            s.iter().fold(0, |a, b| a | b) as u64 & 0x80
        };
        if hi == 0 {
            return true;
        }
        let mut pad = [0u8; 64];
        copy_small(p, pad.as_mut_ptr(), n);
        simdutf8::basic::from_utf8(&pad).is_ok()
    }
}
/// memcpy without the call for short lengths
#[inline(always)]
pub unsafe fn copy_small(s: *const u8, d: *mut u8, n: usize) {
    if n <= 64 { xor_to(s, d, n, 0) } else { std::ptr::copy_nonoverlapping(s, d, n) }
}
pub struct Rx {
    pub buf: Vec<u8>,
    start: usize,
    end: usize,
    frag: Vec<u8>,
    frag_op: u8,
    server: bool,
}
impl Rx {
    pub fn new(server: bool, cap: usize) -> Self {
        Rx { buf: vec![0; cap], start: 0, end: 0, frag: Vec::new(), frag_op: 0, server }
    }
    #[cold]
    #[inline(never)]
    fn fill(&mut self, io: &mut impl Read, need: usize) {
        if self.start == self.end {
            self.start = 0;
            self.end = 0
        } else if self.start > 0 && (self.buf.len() - self.end < 32 * 1024 || self.start + need > self.buf.len()) {
            self.buf.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if need > self.buf.len() {
            self.buf.resize(need + 16, 0)
        }
        let n = io.read(&mut self.buf[self.end..]).unwrap();
        self.end += n;
    }
    #[inline(always)]
    pub fn next(&mut self, io: &mut impl Read) -> (u8, &[u8]) {
        loop {
            let have = self.end - self.start;
            let mut need = 2;
            if have >= 2 {
                let h = &self.buf[self.start..self.end];
                let (b0, b1) = (h[0], h[1]);
                let masked = b1 & 0x80 != 0;
                assert!(b0 & 0x70 == 0 && masked == self.server, "protocol");
                let l7 = (b1 & 0x7f) as usize;
                let (hl, len) = if l7 < 126 {
                    (2, l7)
                } else if l7 == 126 {
                    if have >= 4 { (4, u16::from_be_bytes([h[2], h[3]]) as usize) } else { (4, 0) }
                } else if have >= 10 {
                    (10, u64::from_be_bytes(h[2..10].try_into().unwrap()) as usize)
                } else {
                    (10, 0)
                };
                let hl = hl + if masked { 4 } else { 0 };
                need = hl + len;
                if have >= hl && have >= need {
                    let op = b0 & 15;
                    let fin = b0 & 0x80 != 0;
                    assert!(op <= 2, "bench sends data only");
                    let p = self.start + hl;
                    let key = if masked { u32::from_ne_bytes(self.buf[p - 4..p].try_into().unwrap()) } else { 0 };
                    self.start = p + len;
                    if fin && op != 0 {
                        let ptr = unsafe { self.buf.as_mut_ptr().add(p) };
                        if masked {
                            unsafe { xor_to(ptr, ptr, len, key) }
                        }
                        let s = &self.buf[p..p + len];
                        if op == 1 {
                            assert!(utf8_ok(s))
                        }
                        return (op, s);
                    }
                    if op != 0 {
                        self.frag.clear();
                        self.frag_op = op
                    }
                    let at = self.frag.len();
                    self.frag.reserve(len);
                    unsafe {
                        xor_to(self.buf.as_ptr().add(p), self.frag.as_mut_ptr().add(at), len, key);
                        self.frag.set_len(at + len)
                    }
                    if fin {
                        if self.frag_op == 1 {
                            assert!(utf8_ok(&self.frag))
                        }
                        return (self.frag_op, &self.frag);
                    }
                    continue;
                }
                if have < hl {
                    need = hl
                }
            }
            self.fill(io, need);
        }
    }
}

/// Frame header into `h`; returns its length.
#[inline(always)]
pub fn head(h: &mut [u8; 14], op: u8, len: usize, key: Option<u32>) -> usize {
    h[0] = 0x80 | op;
    let m = if key.is_some() { 0x80 } else { 0 };
    let mut n = if len < 126 {
        h[1] = m | len as u8;
        2
    } else if len < 65536 {
        h[1] = m | 126;
        h[2..4].copy_from_slice(&(len as u16).to_be_bytes());
        4
    } else {
        h[1] = m | 127;
        h[2..10].copy_from_slice(&(len as u64).to_be_bytes());
        10
    };
    if let Some(k) = key {
        h[n..n + 4].copy_from_slice(&k.to_ne_bytes());
        n += 4
    }
    n
}

/// Append one frame to `out`: header and payload in one pass, masked while copied when there is a key.
#[inline(always)]
pub fn send(out: &mut Vec<u8>, op: u8, payload: &[u8], key: Option<u32>) {
    let mut h = [0u8; 14];
    let hl = head(&mut h, op, payload.len(), key);
    let at = out.len();
    out.reserve(14 + payload.len());
    unsafe {
        let d = out.as_mut_ptr().add(at);
        std::ptr::copy_nonoverlapping(h.as_ptr(), d, 14);
        match key {
            Some(key) => xor_to(payload.as_ptr(), d.add(hl), payload.len(), key),
            None => copy_small(payload.as_ptr(), d.add(hl), payload.len()),
        }
        out.set_len(at + hl + payload.len());
    }
}
