//! The dial machine over a simulated network, with a clock turned by hand.

mod addresses;
mod hostile;
mod http_connect;
mod location;
mod machine;
mod proxy;
mod redirects;
mod sim;
mod socks5;
mod texts;
mod uri;
