//! A response of plain HTTP.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};

/// A response of plain HTTP: of the crate `http`, with its body in one piece.
pub type Response = http::Response<Bytes>;

/// 200 with a page.
pub fn html(page: impl Into<Bytes>) -> Response {
    respond(StatusCode::OK, "text/html; charset=utf-8", page)
}

/// A line of text with this status: 500 for one that is none.
pub fn text(status: u16, text: impl Into<Bytes>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    respond(status, "text/plain; charset=utf-8", text)
}

fn respond(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
