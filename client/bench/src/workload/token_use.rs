//! The workload `token-use`: uses a new one-time token each time, with an audit of usual size.

use enroll_client::Client;
use enroll_client::protocol::{Json, Token, token};

use super::pipelined::call_all;
use super::random::Random;

/// The audit record of each use; the peers store the same.
pub(crate) const AUDIT: &str = r#"{"ip":"192.0.2.17","ua":"enroll-cli/1.0","at":1700000000000}"#;

/// Uses `records` tokens, pipelined.
pub(crate) async fn fill(client: &Client, records: u64) -> Result<(), String> {
    let mut random = Random::new();
    let requests = (0..records).map(|_| request(&mut random).map(|request| (request, ())));
    call_all(client, requests, |_, ()| Ok(())).await
}

/// Does one operation and checks its reply.
pub(crate) async fn run_once(client: &Client, random: &mut Random) -> Result<(), String> {
    let request = request(random)?;
    let token = request.token.clone();
    let spent = client.call(request).await.map_err(|err| err.to_string())?;
    if spent.token != token {
        return Err("the reply has another token than the request".to_owned());
    }
    Ok(())
}

/// A use of a new token.
pub(super) fn request(random: &mut Random) -> Result<token::Use, String> {
    let token = Token::new(random.token()).map_err(|err| err.to_string())?;
    let audit = Json::new(AUDIT).map_err(|err| err.to_string())?;
    Ok(token::Use { token, audit: Some(audit), expires: None })
}
