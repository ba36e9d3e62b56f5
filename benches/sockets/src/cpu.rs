//! The server's CPU time a message: contenders in turns within one run, in rotating order, as multiples of the floor.

use std::io;
use std::time::Duration;

use crate::Options;
use crate::batch::Batch;
use crate::contender::Contender;
use crate::load::Load;
use crate::server::Server;

/// Different batches in a row, so that an answer to another connection is seen.
const BATCHES: u8 = 7;

/// How long a contender is under load in one round.
const TURN: Duration = Duration::from_millis(200);
const SMOKE_TURN: Duration = Duration::from_millis(20);

/// One row of the table.
struct Workload {
    name: &'static str,
    connections: usize,
    size: usize,
    /// Messages that a client has in flight.
    in_flight: u64,
    text: bool,
    /// What ours may cost at most, as multiples of the floor: lent, and owned.
    goals: [Option<f64>; 2],
}

const WORKLOADS: [Workload; 7] = [
    Workload { name: "32 x 20 B", connections: 32, size: 20, in_flight: 1, text: false, goals: [Some(1.05), None] },
    Workload {
        name: "64 x 1 KiB",
        connections: 64,
        size: 1 << 10,
        in_flight: 1,
        text: false,
        goals: [Some(1.05), None],
    },
    Workload {
        name: "200 x 16 KiB",
        connections: 200,
        size: 16 << 10,
        in_flight: 1,
        text: false,
        goals: [Some(1.05), None],
    },
    Workload { name: "1 x 1 MiB", connections: 1, size: 1 << 20, in_flight: 1, text: false, goals: [Some(1.05), None] },
    Workload {
        name: "32 x 20 B x 64",
        connections: 32,
        size: 20,
        in_flight: 64,
        text: false,
        goals: [Some(1.3), Some(2.3)],
    },
    Workload {
        name: "16 x 1 KiB x 16",
        connections: 16,
        size: 1 << 10,
        in_flight: 16,
        text: false,
        goals: [Some(1.2), Some(2.3)],
    },
    Workload {
        name: "16 x 1 KiB x 16, text",
        connections: 16,
        size: 1 << 10,
        in_flight: 16,
        text: true,
        goals: [Some(1.3), Some(2.3)],
    },
];

/// A contender under one workload.
struct Entrant {
    contender: Contender,
    server: Server,
    load: Load,
    /// Microseconds a message, of each round.
    times: Vec<f64>,
}

pub fn run(options: &Options) -> io::Result<()> {
    let contenders = options.contenders();
    print!("{:<22} {:>9}", "server CPU a message", "floor");
    for contender in &contenders[1..] {
        print!(" {:>16}", contender.name());
    }
    println!();
    for workload in WORKLOADS.iter().filter(|workload| workload.name.contains(&options.row)) {
        let times = measure(workload, options)?;
        print!("{:<22} {:>6.3} us", workload.name, times[0]);
        for (contender, time) in contenders.iter().zip(&times).skip(1) {
            print!(" {:>16}", workload.verdict(*contender, time / times[0]));
        }
        println!();
    }
    Ok(())
}

impl Workload {
    fn verdict(&self, contender: Contender, ratio: f64) -> String {
        let goal = match contender {
            Contender::Lent | Contender::TokioEcho => self.goals[0],
            Contender::Owned => self.goals[1],
            _ => None,
        };
        match goal {
            Some(goal) if ratio > goal => format!("{ratio:.2} over {goal:.2}"),
            Some(goal) => format!("{ratio:.2} of {goal:.2}"),
            None => format!("{ratio:.2}"),
        }
    }
}

/// Microseconds a message of each contender.
fn measure(workload: &Workload, options: &Options) -> io::Result<Vec<f64>> {
    let batches = (0..BATCHES)
        .map(|number| Batch::new(number, workload.in_flight, workload.size, workload.text))
        .collect::<Result<Vec<_>, _>>()
        .map_err(io::Error::other)?;
    let contenders = options.contenders().into_iter();
    let mut entrants = contenders.map(|contender| Entrant::new(contender, workload)).collect::<io::Result<Vec<_>>>()?;
    let turn = if options.smoke { SMOKE_TURN } else { TURN };
    for entrant in &mut entrants {
        entrant.take_turn(&batches, turn / 4)?;
        entrant.times.clear();
    }
    for round in 0..options.rounds {
        for place in 0..entrants.len() {
            let entrant = (round + place) % entrants.len();
            entrants[entrant].take_turn(&batches, turn)?;
        }
    }
    Ok(entrants.into_iter().map(|entrant| entrant.time(workload)).collect())
}

impl Entrant {
    fn new(contender: Contender, workload: &Workload) -> io::Result<Self> {
        let (server, mut load) = (contender.start()?, Load::new()?);
        for _ in 0..workload.connections {
            load.connect(server.address)?;
        }
        Ok(Self { contender, server, load, times: Vec::new() })
    }

    fn take_turn(&mut self, batches: &[Batch], time: Duration) -> io::Result<()> {
        let start = self.server.cpu()?;
        let messages = self
            .load
            .run(batches, time)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", self.contender.name())))?;
        let cpu = self.server.cpu()? - start;
        self.times.push(cpu.as_secs_f64() * 1e6 / messages as f64);
        Ok(())
    }

    /// With one message in flight the pair is bound by latency, and whatever else the machine does adds: the least
    /// round tells most. Pipelined, the median does.
    fn time(mut self, workload: &Workload) -> f64 {
        self.times.sort_by(f64::total_cmp);
        self.times[if workload.in_flight == 1 { 0 } else { self.times.len() / 2 }]
    }
}
