//! Refusals as HTTP says them: a status, a code for programs, a sentence for people, and when to try again.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use enroll_client::Error;
use enroll_client::protocol::{Code, Refusal};
use serde_json::json;

/// Seconds after which to try again where the daemon names no time.
const RETRY_AFTER_SECONDS: u64 = 1;

/// Why a request is not done.
#[derive(Debug)]
pub(crate) struct Refused(Error);

impl Refused {
    /// The refusal of a request without a valid session.
    pub(crate) fn session() -> Self {
        Self(Error::Refused(Refusal::new(Code::JWT_INVALID, "log in: there is no valid session")))
    }

    fn status(&self) -> StatusCode {
        let code = match &self.0 {
            Error::Refused(refusal) => refusal.code,
            Error::Unavailable(_) => Code::UNAVAILABLE,
            Error::Protocol(_) => return StatusCode::BAD_GATEWAY,
        };
        match code {
            Code::INVALID_ARGUMENT => StatusCode::BAD_REQUEST,
            Code::JWT_INVALID => StatusCode::UNAUTHORIZED,
            Code::PERMISSION_DENIED | Code::FORBIDDEN_OPERATION => StatusCode::FORBIDDEN,
            Code::NOT_FOUND => StatusCode::NOT_FOUND,
            Code::DELETED | Code::EXPIRED => StatusCode::GONE,
            Code::TOO_MANY_ATTEMPTS => StatusCode::TOO_MANY_REQUESTS,
            Code::INTERNAL => StatusCode::INTERNAL_SERVER_ERROR,
            code if code.is_passing() => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::CONFLICT,
        }
    }

    /// Whole seconds after which to try again, for what may pass by itself.
    fn retry_after(&self) -> Option<u64> {
        let told = |refusal: &Refusal| refusal.details.as_ref()?.member::<u64>("retry_after_ms").ok().flatten();
        match &self.0 {
            Error::Refused(refusal) if refusal.code.is_passing() => {
                Some(told(refusal).map_or(RETRY_AFTER_SECONDS, |ms| ms.div_ceil(1000).max(1)))
            }
            Error::Unavailable(_) => Some(RETRY_AFTER_SECONDS),
            Error::Refused(_) | Error::Protocol(_) => None,
        }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = match &self.0 {
            Error::Refused(refusal) => json!({"code": refusal.code, "message": refusal.message}),
            // Its text names the socket, which is nobody's business.
            Error::Unavailable(_) | Error::Protocol(_) => {
                json!({"code": Code::UNAVAILABLE, "message": "the registry does not answer; try again"})
            }
        };
        let mut response = (self.status(), Json(body)).into_response();
        if let Some(seconds) = self.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_says_when_to_try_again() {
        let refusal = |code, details| Error::Refused(Refusal::plain(code).with(details));
        for (error, status, retry_after) in [
            (refusal(Code::BUSY, json!({"retry_after_ms": 1500})), 503, Some("2")),
            (refusal(Code::BUSY, json!({})), 503, Some("1")),
            (refusal(Code::SHUTTING_DOWN, json!({"retry_after_ms": 1})), 503, Some("1")),
            (refusal(Code::TOO_MANY_ATTEMPTS, json!({"retry_after_ms": 60_000})), 429, Some("60")),
            (Error::Unavailable("/run/x".to_owned()), 503, Some("1")),
            (refusal(Code::TOKEN_REUSE, json!({})), 409, None),
            (refusal(Code::EXPIRED, json!({})), 410, None),
            (Error::Protocol("no".to_owned()), 502, None),
        ] {
            let what = format!("{error:?}");
            let response = Refused(error).into_response();
            let told = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
            assert_eq!((response.status().as_u16(), told), (status, retry_after), "{what}");
        }
    }
}
