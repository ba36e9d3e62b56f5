//! The resident memory of a server for each connection that is idle, after one echo.

use std::io;
use std::thread;
use std::time::Duration;

use crate::Options;
use crate::batch::Batch;
use crate::contender::Contender;
use crate::load::Load;
use crate::open_files;

const CONNECTIONS: usize = 5_000;
const SMOKE_CONNECTIONS: usize = 50;

/// What is echoed before the connections are left alone.
const SIZES: [(&str, usize); 2] = [("after 125 B", 125), ("after 16 KiB", 16 << 10)];

/// Until a server that has answered has done all that it does behind an answer.
const PAUSE: Duration = Duration::from_millis(200);

pub fn run(options: &Options) -> io::Result<()> {
    let connections = if options.smoke { SMOKE_CONNECTIONS } else { CONNECTIONS };
    open_files::allow(connections + 1)?;
    println!("{:<22} {:>16} {:>16}", "resident, a connection", SIZES[0].0, SIZES[1].0);
    for contender in options.contenders() {
        print!("{:<22}", contender.name());
        for (_, size) in SIZES {
            print!(" {:>14} B", measure(contender, connections, size)?);
        }
        println!();
    }
    Ok(())
}

/// Bytes a connection.
fn measure(contender: Contender, connections: usize, size: usize) -> io::Result<u64> {
    let batch = Batch::new(0, 1, size, false).map_err(io::Error::other)?;
    // The server ends before its clients leave.
    let (mut load, server) = (Load::new()?, contender.start()?);
    let mut open = |connections| -> io::Result<u64> {
        for _ in 0..connections {
            load.connect(server.address)?;
            load.echo(&batch)?;
        }
        thread::sleep(PAUSE);
        server.resident()
    };
    // The first connection brings what belongs to the server.
    let before = open(1)?;
    Ok(open(connections)?.saturating_sub(before) / connections as u64)
}
