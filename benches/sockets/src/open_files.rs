//! The limit of open files: a connection is one, in the server's process and in this one.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Beside the connections: standard streams, libraries, epoll, other servers' pipes.
const OTHERS: u64 = 100;

/// Makes room for `connections` connections here and in every server that is started from now on.
pub fn allow(connections: usize) -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = connections as u64 + OTHERS;
    if limit.maximum.is_some_and(|maximum| maximum < wanted) {
        let maximum = limit.maximum.unwrap_or_default();
        return Err(io::Error::other(format!(
            "{connections} connections take {wanted} open files, and a process here may have {maximum}: raise `ulimit -Hn`"
        )));
    }
    if limit.current.is_some_and(|current| current < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    }
    Ok(())
}
