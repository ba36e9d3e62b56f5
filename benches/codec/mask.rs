//! Masking in place.

use std::hint::black_box;

use bowsprit::Mask;
use chacha20::ChaCha12Rng;
use chacha20::rand_core::{Rng, SeedableRng};

use crate::floor::masks;
use crate::harness::{Harness, Row, Run};

pub(crate) fn rows(harness: &Harness) {
    harness.row("mask, 1 to 125 B mixed", || Row {
        ours: short(|payload, key| Mask(key).apply(payload)),
        base: short(masks::ideal),
        target: 14.0 / 13.0,
        others: vec![("memcpy", short_copy())],
    });
    // What memcpy may cost more depends on the width of its and our registers.
    let wide = if is_x86_feature_detected!("avx512f") { 0.85 } else { 1.9 };
    for (name, offset, len, target) in [
        ("mask, 1 KiB off by 6 (to floor)", 6, 1 << 10, 1.0),
        ("mask, 16 KiB aligned (to memcpy)", 0, 16 << 10, wide),
        ("mask, 16 KiB off by 1 (to memcpy)", 1, 16 << 10, wide),
        ("mask, 16 KiB off by 8 (to memcpy)", 8, 16 << 10, wide),
        ("mask, 1 MiB (to memcpy)", 0, 1 << 20, 1.6),
    ] {
        harness.row(name, || {
            let floor = long(offset, len, masks::ideal);
            let aligned = long(offset, len, masks::ideal512a);
            let ours = long(offset, len, |payload, key| Mask(key).apply(payload));
            if name.contains("memcpy") {
                Row {
                    ours,
                    base: long_copy(offset, len),
                    target,
                    others: vec![("floor", floor), ("floor 512", aligned)],
                }
            } else {
                Row { ours, base: floor, target, others: vec![("memcpy", long_copy(offset, len))] }
            }
        });
    }
}

/// Where short payloads lie in a buffer: lengths and offsets in random order.
fn spans() -> Vec<(usize, usize)> {
    let mut random = ChaCha12Rng::seed_from_u64(1);
    (0..4096).map(|_| ((random.next_u32() % 3900) as usize, 1 + (random.next_u32() % 125) as usize)).collect()
}

fn short(mask: impl Fn(&mut [u8], [u8; 4]) + 'static) -> Run {
    let (spans, mut buffer) = (spans(), vec![0; 4096]);
    Box::new(move |messages| {
        for i in 0..messages {
            let (start, len) = spans[(i % 4096) as usize];
            mask(black_box(&mut buffer[start..start + len]), black_box([0x37, 0xfa, 0x21, 0x3d]));
        }
        messages
    })
}

fn short_copy() -> Run {
    let (spans, from, mut to) = (spans(), vec![0; 4096], vec![0; 4096]);
    Box::new(move |messages| {
        for i in 0..messages {
            let (start, len) = spans[(i % 4096) as usize];
            black_box(&mut to[start..start + len]).copy_from_slice(black_box(&from[start..start + len]));
        }
        messages
    })
}

fn long(offset: usize, len: usize, mask: impl Fn(&mut [u8], [u8; 4]) + 'static) -> Run {
    let (mut buffer, start) = aligned(offset, len);
    Box::new(move |messages| {
        for _ in 0..messages {
            mask(black_box(&mut buffer[start..start + len]), black_box([0x37, 0xfa, 0x21, 0x3d]));
        }
        messages
    })
}

fn long_copy(offset: usize, len: usize) -> Run {
    let ((from, i), (mut to, j)) = (aligned(offset, len), aligned(offset, len));
    Box::new(move |messages| {
        for _ in 0..messages {
            black_box(&mut to[j..j + len]).copy_from_slice(black_box(&from[i..i + len]));
        }
        messages
    })
}

/// A buffer, and where in it `len` bytes start `offset` behind a cache line.
fn aligned(offset: usize, len: usize) -> (Vec<u8>, usize) {
    let buffer = vec![0; len + 128];
    let start = buffer.as_ptr().align_offset(64) + offset;
    (buffer, start)
}
