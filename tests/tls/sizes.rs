//! Sizes of all orders of magnitude.

/// From 1 to `max`, small ones as often as large ones; for each `seed` the same in every run.
pub(crate) fn sizes(seed: u32, max: u32) -> impl Iterator<Item = usize> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
        1 + usize::try_from((state >> 8) % (max >> (state >> 28))).unwrap()
    })
}
