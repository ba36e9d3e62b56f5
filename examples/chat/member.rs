//! One connection: its requests become events of a room.

use std::sync::Arc;
use std::time::Duration;

use bowsprit::server::Session;
use bowsprit::session::{BoxError, Closed, Handler};
use bowsprit::{CloseCode, CloseError, Message, OwnedMessage};
use tokio::task::AbortHandle;

use crate::protocol::{MAX_TEXT, Refusal, Request};
use crate::room::{Place, Rooms, refuse};

/// The time within which a connection must join a room.
const JOIN_WITHIN: Duration = Duration::from_secs(10);

pub(crate) struct Member {
    rooms: Arc<Rooms>,
    /// The task that refuses the connection unless it joins.
    join_timeout: AbortHandle,
    /// Its room and name, once it has joined.
    place: Option<Place>,
}

impl Member {
    pub(crate) fn new(rooms: Arc<Rooms>, session: &Session) -> Self {
        let session = session.clone();
        let join_timeout = tokio::spawn(async move {
            tokio::time::sleep(JOIN_WITHIN).await;
            refuse(&session, &Refusal::NOT_JOINED);
        });
        Self { rooms, join_timeout: join_timeout.abort_handle(), place: None }
    }

    fn act(&mut self, session: &Session, request: Request) -> Result<(), Refusal> {
        match (request, &self.place) {
            (Request::Join(join), None) => {
                self.place = Some(self.rooms.join(session, join)?);
                self.join_timeout.abort();
            }
            (Request::Join(_), Some(_)) => return Err(Refusal::JOINED_ALREADY),
            (Request::Say { .. }, None) => return Err(Refusal::NOT_JOINED),
            (Request::Say { text, .. }, _) if text.is_empty() || text.len() > MAX_TEXT => return Err(Refusal::TEXT),
            (Request::Say { text, id }, Some(place)) => self.rooms.say(session, place, &text, id),
        }
        Ok(())
    }
}

impl Handler<Session> for Member {
    async fn on_message(&mut self, session: &Session, message: Message<'_>) -> Result<Option<OwnedMessage>, BoxError> {
        // A binary message closes with 1003, JSON that is not a `Request` with 1007.
        let text: &str = message.try_into()?;
        let request = serde_json::from_str(text);
        let request = request.map_err(|error| CloseError::new(CloseCode::INVALID_PAYLOAD, error.to_string()))?;
        if let Err(refusal) = self.act(session, request) {
            refuse(session, &refusal);
        }
        Ok(None)
    }

    async fn on_close(&mut self, session: &Session, closed: &Closed) {
        self.join_timeout.abort();
        if let Some(place) = &self.place {
            self.rooms.leave(session, place, !closed.is_clean());
        }
    }
}
