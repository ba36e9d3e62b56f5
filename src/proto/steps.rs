//! Steps of work, counted in tests alone: that work is linear is shown without a clock.

/// So many bytes have been looked at.
#[inline]
pub(in crate::proto) fn count(steps: usize) {
    #[cfg(all(test, feature = "std"))]
    STEPS.with(|total| total.set(total.get() + steps));
    let _ = steps;
}

/// The steps that `work` takes.
#[cfg(all(test, feature = "std"))]
pub(in crate::proto) fn of(work: impl FnOnce()) -> usize {
    STEPS.set(0);
    work();
    STEPS.get()
}

#[cfg(all(test, feature = "std"))]
std::thread_local! {
    static STEPS: core::cell::Cell<usize> = const { core::cell::Cell::new(0) };
}
