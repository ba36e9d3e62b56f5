//! Counts the heap of the whole process, for tasks move between threads.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};

static LIVE: AtomicIsize = AtomicIsize::new(0);
static PEAK: AtomicIsize = AtomicIsize::new(0);

/// The bytes that are held now.
pub(crate) fn live() -> isize {
    LIVE.load(Ordering::Relaxed)
}

/// From now on, [`peak`] counts from what is held now.
pub(crate) fn level() {
    PEAK.store(live(), Ordering::Relaxed);
}

/// The most that was held since the last [`level`].
pub(crate) fn peak() -> isize {
    PEAK.load(Ordering::Relaxed)
}

/// The heap that `value` alone holds: what dropping it gives back.
pub(crate) fn held_by<T>(value: T) -> usize {
    let before = live();
    drop(value);
    usize::try_from(before - live()).expect("dropping allocates nothing that stays")
}

#[global_allocator]
static COUNTING: Counting = Counting;

struct Counting;

fn allocated(bytes: usize) {
    let live = LIVE.fetch_add(bytes.cast_signed(), Ordering::Relaxed) + bytes.cast_signed();
    PEAK.fetch_max(live, Ordering::Relaxed);
}

fn freed(bytes: usize) {
    LIVE.fetch_sub(bytes.cast_signed(), Ordering::Relaxed);
}

// SAFETY: every call goes to the system's allocator unchanged; counting allocates nothing.
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
        freed(layout.size());
        allocated(size);
        // SAFETY: as promised to us.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        freed(layout.size());
        // SAFETY: as promised to us.
        unsafe { System.dealloc(block, layout) }
    }
}
