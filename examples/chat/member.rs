//! One connection: what it says becomes something that happens in a room.

use std::sync::Arc;
use std::time::Duration;

use bowsprit::server::Session;
use bowsprit::session::{BoxError, Closed, Handler};
use bowsprit::{CloseCode, CloseError, Message, OwnedMessage};
use tokio::task::AbortHandle;

use crate::protocol::{MAX_TEXT, Refusal, Request};
use crate::room::{Place, Rooms, refuse};

/// How long a connection may stay that joins no room.
const JOIN_WITHIN: Duration = Duration::from_secs(10);

pub(crate) struct Member {
    rooms: Arc<Rooms>,
    /// Refuses it, until it has joined.
    waiting: AbortHandle,
    /// Once it has joined.
    place: Option<Place>,
}

impl Member {
    pub(crate) fn new(rooms: Arc<Rooms>, session: &Session) -> Self {
        let session = session.clone();
        let waiting = tokio::spawn(async move {
            tokio::time::sleep(JOIN_WITHIN).await;
            refuse(&session, &Refusal::NOT_JOINED);
        });
        Self { rooms, waiting: waiting.abort_handle(), place: None }
    }

    fn act(&mut self, session: &Session, request: Request) -> Result<(), Refusal> {
        match (request, &self.place) {
            (Request::Join(join), None) => {
                self.place = Some(self.rooms.join(session, join)?);
                self.waiting.abort();
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
        // Binary messages are closed with 1003, what is none of our JSON with 1007.
        let text: &str = message.try_into()?;
        let request = serde_json::from_str(text);
        let request = request.map_err(|error| CloseError::new(CloseCode::INVALID_PAYLOAD, error.to_string()))?;
        if let Err(refusal) = self.act(session, request) {
            refuse(session, &refusal);
        }
        Ok(None)
    }

    async fn on_close(&mut self, session: &Session, closed: &Closed) {
        self.waiting.abort();
        if let Some(place) = &self.place {
            self.rooms.leave(session, place, !closed.is_clean());
        }
    }
}
