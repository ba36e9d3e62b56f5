//! The floor: the least that an echo server can do. One buffer to read into and one to write from a thread; neither
//! control frames nor limits. A lower bound, not a server.

#[path = "../../floor/echo.rs"]
pub mod echo;
#[path = "../../floor/masks.rs"]
mod masks;
