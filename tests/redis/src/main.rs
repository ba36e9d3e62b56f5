//! Servers that share topics through Redis, and what drives them.
//!
//! ```text
//! bowsprit-redis serve REDIS-ADDRESS    one server: see `serve`
//! bowsprit-redis drive FOLDER           two of them and a Redis server, whose files lie in FOLDER
//! ```

mod broker;
mod cases;
mod client;
mod process;
mod serve;

use std::env;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = match arguments[..] {
        ["serve", address] => runtime.block_on(serve::serve(address)),
        ["drive", folder] => runtime.block_on(cases::run(Path::new(folder))),
        _ => Err("serve REDIS-ADDRESS, or drive FOLDER".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
