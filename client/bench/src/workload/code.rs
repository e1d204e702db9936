//! The workload `code`: creates a login code and exchanges it for a JWT.

use enroll_client::Client;
use enroll_client::protocol::{Json, code};

const CLAIMS: &str = r#"{"sub":"DOGGO01a","scope":"bench"}"#;

/// Does one operation, which is the pair, and checks its replies.
pub(crate) async fn run_once(client: &Client) -> Result<(), String> {
    let claims = Json::new(CLAIMS).map_err(|err| err.to_string())?;
    let created = client.call(code::Create::new(claims)).await.map_err(|err| err.to_string())?;
    let code = created.code.ok_or("the reply has no code")?;
    let exchanged = client.call(code::Use::new(code)).await.map_err(|err| err.to_string())?;
    let jwt = exchanged.jwt.ok_or("the reply has no JWT")?;
    let parts: Vec<&str> = jwt.as_str().split('.').collect();
    if parts.len() != 3 || parts.iter().any(|part| part.is_empty()) {
        return Err("the reply is not a JWT of three parts".to_owned());
    }
    Ok(())
}
