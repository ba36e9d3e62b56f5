//! The registry of outgoing connections.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

use super::connect::Connect;
use super::entry::Client;
use super::handle::{Driver, State};
use super::reconnecting::{ClientEvent, Reconnecting};
use crate::Close;
use crate::handshake::ClientRequest;
use crate::session::{self, Handler};
use crate::tokio::{Connector, WhenFull};
use crate::{Error, HandshakeError, SendError};

/// Opens a connection, and tells a handler of it, in a task of its own: as [`Clients::open`], in no registry. Its name is
/// the address.
///
/// ```no_run
/// use bowsprit::client::{self, Client};
/// use bowsprit::session::Event;
///
/// # async fn example() -> Result<(), bowsprit::Error> {
/// let client = client::connect("ws://127.0.0.1:9001/", |_: &Client, event: Event<'_>| {
///     println!("{event:?}");
///     Ok(None) // no reply
/// })
/// .await?;
/// client.send("hello").await?;
/// client.ended().await;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`Clients::open`].
pub async fn connect<H: Handler<Client> + 'static>(uri: &str, handler: H) -> Result<Client, Error> {
    Clients::new().open(uri, uri, handler).await
}

/// Outgoing connections, each with a handler and a task. One is listed from its opening until its handler has been told of
/// the close, or has gone in any other way. Clones share the registry.
///
/// ```no_run
/// use bowsprit::client::{Client, Clients};
/// use bowsprit::session::Event;
/// use bowsprit::{CloseCode, OwnedMessage};
///
/// # async fn example() -> Result<(), bowsprit::Error> {
/// let clients = Clients::new();
/// let echo = |client: &Client, event: Event<'_>| {
///     Ok(match event {
///         Event::Message(message) => Some(message.to_owned()),
///         Event::Error(error) => {
///             eprintln!("{}: {error}", client.name());
///             None
///         }
///         _ => None,
///     })
/// };
/// let client = clients.open("echo", "ws://127.0.0.1:9001/", echo).await?;
/// client.send("hello").await?;
/// for client in clients.by_name("echo") {
///     client.close(Some(CloseCode::NORMAL.into()))?;
/// }
/// # Ok(())
/// # }
/// ```
///
/// To drop the registry ends no connection.
#[derive(Clone, Debug)]
pub struct Clients(Arc<Registry>);

#[derive(Debug)]
struct Registry {
    queue: (usize, WhenFull),
    clients: Mutex<BTreeMap<u64, Client>>,
}

impl Clients {
    /// Without any. Each will have a queue of about 1 MiB for what is sent, and senders wait while it is full.
    #[must_use]
    pub fn new() -> Self {
        Self::with_queue(super::QUEUE.0, super::QUEUE.1)
    }

    /// With another queue for each connection, in bytes, and what becomes of a message that finds it full; as
    /// [`WebSocket::sender`](crate::tokio::WebSocket::sender).
    #[must_use]
    pub fn with_queue(max_queued: usize, when_full: WhenFull) -> Self {
        Self(Arc::new(Registry { queue: (max_queued, when_full), clients: Mutex::default() }))
    }

    /// Opens a connection, and spawns the task that tells `handler` of it. Names need not be unique.
    ///
    /// # Errors
    ///
    /// As [`tokio::connect`](crate::tokio::connect()): the handler is told of nothing, then.
    pub async fn open<H: Handler<Client> + 'static>(&self, name: &str, uri: &str, handler: H) -> Result<Client, Error> {
        let request = ClientRequest::try_from(uri).map_err(HandshakeError::Uri)?;
        self.open_with(name, &Connector::new(request), handler).await
    }

    /// As [`open`](Self::open), with all that a [`Connector`] chooses.
    ///
    /// # Errors
    ///
    /// As [`Connector::connect`].
    pub async fn open_with<H: Handler<Client> + 'static>(
        &self,
        name: &str,
        connector: &Connector,
        mut handler: H,
    ) -> Result<Client, Error> {
        let (mut ws, _) = connector.connect().await?;
        let (max_queued, when_full) = self.0.queue;
        let sender = ws.sender(max_queued, when_full);
        let driver = Driver::new();
        driver.open(&ws, sender.clone());
        let client = Client::new(next_id(), name, Some(connector.request().uri()), driver.handle().clone());
        let listed = self.insert(&client);
        let driven = client.clone();
        tokio::spawn(async move {
            session::run(&mut ws, &sender, &driven, &mut handler).await;
            drop((listed, driver));
        });
        Ok(client)
    }

    /// Spawns a task that runs a reconnecting client, and tells `handler` of each of its connections: of every one that
    /// opens, and of its close. What comes between two connections is told by the client's [state](State), and why it gave
    /// up by [`Handle::gave_up`](super::Handle::gave_up).
    ///
    /// The client is listed until no attempt follows any more. A callback that fails closes its connection, and another
    /// attempt follows; to end the client, a callback calls [`Handle::close`](super::Handle::close).
    pub fn open_reconnecting<P: Connect, H: Handler<Client> + 'static>(
        &self,
        name: &str,
        mut reconnecting: Reconnecting<P>,
        mut handler: H,
    ) -> Client {
        let client = Client::new(next_id(), name, reconnecting.uri(), reconnecting.handle());
        let listed = self.insert(&client);
        let driven = client.clone();
        tokio::spawn(async move {
            loop {
                match reconnecting.next_event().await {
                    Ok(Some(ClientEvent::Connected { .. })) => {
                        if !matches!(reconnecting.run(&driven, &mut handler).await, Ok(Some(_))) {
                            break;
                        }
                    }
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => break,
                }
            }
            drop((listed, reconnecting));
        });
        client
    }

    /// All clients, the oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Client> {
        self.select(|_| true)
    }

    /// The client with this id.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<Client> {
        self.clients().get(&id).filter(|client| is_listed(client)).cloned()
    }

    /// All clients of this name, the oldest first.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Vec<Client> {
        self.select(|client| client.name() == name)
    }

    /// Closes all clients that are listed now, behind what each has queued. [`Handle::close`](super::Handle::close) closes
    /// one.
    ///
    /// # Errors
    ///
    /// [`SendError::InvalidCloseCode`] and [`SendError::ReasonTooLong`] for what may not be sent; nothing is closed then.
    pub fn close_all(&self, close: Option<Close<'_>>) -> Result<(), SendError> {
        if let Some(close) = &close {
            close.encode()?;
        }
        for client in self.list() {
            // One that closes already is closed.
            let _ = client.close(close);
        }
        Ok(())
    }

    /// How many clients there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn select(&self, which: impl Fn(&Client) -> bool) -> Vec<Client> {
        self.clients().values().filter(|client| is_listed(client) && which(client)).cloned().collect()
    }

    fn insert(&self, client: &Client) -> Listed {
        self.clients().insert(client.id(), client.clone());
        Listed { clients: self.clone(), id: client.id() }
    }

    fn clients(&self) -> MutexGuard<'_, BTreeMap<u64, Client>> {
        // Nothing panics halfway through a change.
        self.0.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Clients {
    fn default() -> Self {
        Self::new()
    }
}

/// A place in the registry. Dropped, in whatever way its task ends, the client is gone.
struct Listed {
    clients: Clients,
    id: u64,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let client = self.clients.clients().remove(&self.id);
        // Its own drop is nobody's business while the registry is locked.
        drop(client);
    }
}

/// One that has ended is on its way out.
fn is_listed(client: &Client) -> bool {
    client.state() != State::Ended
}

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
