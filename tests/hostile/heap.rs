//! Counts the heap of each thread, so that tests side by side do not disturb each other.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// What some work did to the heap of its thread, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Heap {
    /// The most that was held above what was held before.
    pub(crate) peak: usize,
    /// What is held more than before; negative: less.
    pub(crate) growth: isize,
    /// The sum of all allocations, whether freed again or not; of a block that grew, the growth.
    pub(crate) total: usize,
    /// The number of allocations, growing a block included.
    pub(crate) allocations: usize,
}

/// What `work` does to the heap.
pub(crate) fn of<T>(work: impl FnOnce() -> T) -> (T, Heap) {
    let (live, total, allocations) = (LIVE.get(), TOTAL.get(), ALLOCATIONS.get());
    let outer_peak = PEAK.replace(live);
    let result = work();
    let heap = Heap {
        peak: usize::try_from(PEAK.get() - live).expect("the peak starts at what was held before"),
        growth: LIVE.get() - live,
        total: TOTAL.get() - total,
        allocations: ALLOCATIONS.get() - allocations,
    };
    PEAK.set(PEAK.get().max(outer_peak));
    (result, heap)
}

/// The heap that `value` alone holds: what dropping it gives back.
pub(crate) fn held_by<T>(value: T) -> usize {
    let ((), heap) = of(|| drop(value));
    usize::try_from(-heap.growth).expect("dropping allocates nothing that stays")
}

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static TOTAL: Cell<usize> = const { Cell::new(0) };
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static COUNTING: Counting = Counting;

struct Counting;

fn allocated(bytes: usize) {
    TOTAL.set(TOTAL.get() + bytes);
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
    changed(bytes.cast_signed());
}

fn changed(bytes: isize) {
    LIVE.set(LIVE.get() + bytes);
    PEAK.set(PEAK.get().max(LIVE.get()));
}

// SAFETY: every call goes to the system's allocator unchanged; counting allocates nothing, for the cells are
// initialised by a constant and have no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        allocated(layout.size());
        // SAFETY: as promised to us.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        allocated(layout.size());
        // SAFETY: as promised to us.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        changed(-layout.size().cast_signed());
        allocated(size);
        TOTAL.set(TOTAL.get() - layout.size().min(size));
        // SAFETY: as promised to us.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        changed(-layout.size().cast_signed());
        // SAFETY: as promised to us.
        unsafe { System.dealloc(block, layout) }
    }
}
