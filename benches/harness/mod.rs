//! A small harness: contenders in turns within one run, in rotating order, in CPU time of the thread; the
//! median of the rounds with its quartiles, read as ours ÷ base against the target.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::time::{ClockId, clock_gettime};

/// A contender is called with a number of messages, handles at least so many and tells how many they were.
pub(crate) type Run = Box<dyn FnMut(u64) -> u64>;

/// One row of the table.
pub(crate) struct Row {
    pub(crate) ours: Run,
    /// What ours is measured against.
    pub(crate) base: Run,
    /// What ours ÷ base should be at most.
    pub(crate) target: f64,
    /// Further contenders, with their names.
    pub(crate) others: Vec<(&'static str, Run)>,
}

/// What the command line asks for.
pub(crate) struct Harness {
    rounds: usize,
    /// CPU time of one contender in one round, in nanoseconds; 0 where nothing is measured.
    round: u64,
    filters: Vec<String>,
}

impl Harness {
    /// `cargo bench --bench NAME -- [--rounds N] [FILTER..]` measures the rows whose name contains a filter.
    /// Without the `--bench` that `cargo bench` passes (so under `cargo test --benches`), or with `--smoke`, each
    /// row runs once and briefly.
    pub(crate) fn from_args() -> Self {
        let mut harness = Self { rounds: 15, round: 4_000_000, filters: Vec::new() };
        let mut measured = false;
        let mut smoke = false;
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--bench" => measured = true,
                "--smoke" | "--test" => smoke = true,
                "--rounds" => {
                    let rounds = args.next().and_then(|n| n.parse().ok());
                    harness.rounds = rounds.filter(|n| *n > 0).expect("--rounds takes a number above 0");
                }
                _ if arg.starts_with('-') => {}
                _ => harness.filters.push(arg),
            }
        }
        if smoke || !measured {
            harness.round = 0;
            return harness;
        }
        println!(
            "{:<36} {:>10} {:>10} {:>19} {:>6} {:>6}       allocations",
            "ns a message", "base", "ours", "quartiles", "ratio", "target"
        );
        harness
    }

    /// Measures the row that `row` makes, if it is asked for, and prints it.
    ///
    /// `met` is within the target, `ok` within 1.5 times the target.
    pub(crate) fn row(&self, name: &str, row: impl FnOnce() -> Row) {
        if !self.filters.is_empty() && !self.filters.iter().any(|filter| name.contains(filter)) {
            return;
        }
        let Row { ours, base, target, others } = row();
        let (names, runs): (Vec<_>, Vec<_>) = others.into_iter().unzip();
        let mut contenders: Vec<_> = [ours, base].into_iter().chain(runs).map(|run| self.calibrated(run)).collect();
        if self.round == 0 {
            println!("{name}: ran");
            return;
        }
        for round in 0..self.rounds {
            for turn in 0..contenders.len() {
                let contender = (round + turn) % contenders.len();
                contenders[contender].measure();
            }
        }
        let (ours, base) = (contenders[0].quartiles(), contenders[1].quartiles());
        let ratio = ours[1] / base[1];
        let verdict = match ratio / target {
            ..=1.0 => "met",
            ..=1.5 => "ok",
            _ => "over",
        };
        let spread = format!("{:.1}..{:.1}", ours[0], ours[2]);
        let allocations = contenders[0].allocations as f64 / contenders[0].messages as f64;
        print!("{name:<36} {:>10.1} {:>10.1} {spread:>19} {ratio:>6.2} {target:>6.2} ", base[1], ours[1]);
        print!("{verdict:<5} {allocations:>11.4}");
        for (name, contender) in names.iter().zip(&mut contenders[2..]) {
            print!("   {name}: {:.1}", contender.quartiles()[1]);
        }
        println!();
    }

    /// Warms a contender up and finds how many messages fill a round.
    fn calibrated(&self, mut run: Run) -> Contender {
        let mut asked = 1;
        loop {
            let start = thread_time();
            let done = run(asked);
            let time = thread_time() - start;
            if time >= self.round / 4 {
                let asked = done * (self.round / time.max(1)).max(1);
                return Contender { run, asked, times: Vec::new(), messages: 0, allocations: 0 };
            }
            asked = done * 2;
        }
    }
}

struct Contender {
    run: Run,
    /// Messages in a round.
    asked: u64,
    /// Nanoseconds a message, of each round.
    times: Vec<f64>,
    messages: u64,
    allocations: u64,
}

impl Contender {
    fn measure(&mut self) {
        let allocations = ALLOCATIONS.load(Relaxed);
        let start = thread_time();
        let done = (self.run)(self.asked);
        let time = thread_time() - start;
        self.allocations += ALLOCATIONS.load(Relaxed) - allocations;
        self.messages += done;
        self.times.push(time as f64 / done as f64);
    }

    fn quartiles(&mut self) -> [f64; 3] {
        self.times.sort_by(f64::total_cmp);
        [1, 2, 3].map(|quarter| self.times[self.times.len() * quarter / 4])
    }
}

/// CPU time of this thread in nanoseconds.
fn thread_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).expect("CPU time is never negative")
}

/// The system's allocator, counting.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: hands everything to the system's allocator, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(block, layout, size) }
    }
}
