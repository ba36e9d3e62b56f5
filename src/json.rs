//! Messages that are JSON (RFC 8259), as types of serde.
//!
//! ```
//! use bowsprit::json::{self, Json};
//! use bowsprit::{CloseCode, Message};
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! struct Order {
//!     item: String,
//!     count: u32,
//! }
//!
//! let Json(order) = Message::Text(r#"{"item": "tea", "count": 2}"#).try_into()?;
//! # let order: Order = order;
//! assert_eq!((&*order.item, order.count), ("tea", 2));
//! assert_eq!(json::text(&["tea"])?, r#"["tea"]"#);
//!
//! let wrong: Result<Json<Order>, _> = Message::Text(r#"{"item": "tea"}"#).try_into();
//! let error = wrong.map(|_| ()).unwrap_err();
//! assert_eq!(error.code(), CloseCode::INVALID_PAYLOAD);
//! assert_eq!(error.reason(), "missing field `count` at line 1 column 15");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::string::{String, ToString as _};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Message;
use crate::{CloseCode, CloseError};

/// A message that is text, and JSON of this type.
///
/// It is made of a [`Message`] by `try_into`. The error says how to close: 1003 for a binary message, 1007 for text that
/// is no JSON of this type, with what is wrong as the reason (RFC 6455 section 7.4.1). Where a callback or a function of
/// the server layer returns that error, the connection is closed like that.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> TryFrom<Message<'_>> for Json<T> {
    type Error = CloseError;

    fn try_from(message: Message<'_>) -> Result<Self, CloseError> {
        let text: &str = message.try_into()?;
        let value = serde_json::from_str(text);
        value.map(Self).map_err(|error| CloseError::new(CloseCode::INVALID_PAYLOAD, error.to_string()))
    }
}

/// The text of a value, to be sent.
///
/// # Errors
///
/// When the type cannot be JSON, as a map whose keys are no text.
pub fn text<T: Serialize + ?Sized>(value: &T) -> Result<String, serde_json::Error> {
    serde_json::to_string(value)
}
