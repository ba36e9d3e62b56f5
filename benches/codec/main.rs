//! Receiving, sending and masking in memory, against the floors: `cargo bench --bench codec`.

#[cfg(all(unix, target_arch = "x86_64"))]
#[expect(
    clippy::cast_possible_truncation,
    clippy::needless_range_loop,
    clippy::semicolon_if_nothing_returned,
    clippy::undocumented_unsafe_blocks,
    dead_code,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    reason = "reference floor"
)]
#[path = "../floor/mod.rs"]
mod floor;
#[cfg(all(unix, target_arch = "x86_64"))]
#[path = "../harness/mod.rs"]
mod harness;
#[cfg(all(unix, target_arch = "x86_64"))]
mod mask;
#[cfg(all(unix, target_arch = "x86_64"))]
mod receive;
#[cfg(all(unix, target_arch = "x86_64"))]
mod send;
#[cfg(all(unix, target_arch = "x86_64"))]
#[path = "../harness/traffic.rs"]
mod traffic;

#[cfg(all(unix, target_arch = "x86_64"))]
fn main() {
    let harness = harness::Harness::from_args();
    receive::rows(&harness);
    send::rows(&harness);
    mask::rows(&harness);
}

#[cfg(not(all(unix, target_arch = "x86_64")))]
fn main() {
    println!("nothing to measure: the floors are written for x86-64, the clock is one of Unix");
}
