//! The workload `code`: a login code is made and exchanged for a JWT.

use enroll_client::Client;
use enroll_client::protocol::{Json, code};

const CLAIMS: &str = r#"{"sub":"DOGGO01a","scope":"bench"}"#;

/// One operation: the pair.
pub(crate) async fn run_once(client: &Client) -> Result<(), String> {
    let claims = Json::new(CLAIMS).map_err(|err| err.to_string())?;
    let created = client.call(code::Create::new(claims)).await.map_err(|err| err.to_string())?;
    let code = created.code.ok_or("no code was answered")?;
    let exchanged = client.call(code::Use::new(code)).await.map_err(|err| err.to_string())?;
    let jwt = exchanged.jwt.ok_or("no JWT was answered")?;
    let parts: Vec<&str> = jwt.as_str().split('.').collect();
    if parts.len() != 3 || parts.iter().any(|part| part.is_empty()) {
        return Err("what was answered is not a JWT of three parts".to_owned());
    }
    Ok(())
}
