//! The workload `token-use`: a new one-time token each time, with an audit of usual size.

use enroll_client::Client;
use enroll_client::protocol::{Json, Token, token};

use super::ahead::ask_all;
use super::random::Random;

/// The same for every store that is compared.
pub(super) const AUDIT: &str = r#"{"ip":"192.0.2.17","ua":"enroll-cli/1.0","at":1700000000000}"#;

/// Uses so many, as fast as it goes.
pub(crate) async fn fill(client: &Client, records: u64) -> Result<(), String> {
    let mut random = Random::new();
    let requests = (0..records).map(|_| request(&mut random).map(|request| (request, ())));
    ask_all(client, requests, |_, ()| Ok(())).await
}

/// One operation.
pub(crate) async fn run_once(client: &Client, random: &mut Random) -> Result<(), String> {
    let request = request(random)?;
    let token = request.token.clone();
    let spent = client.call(request).await.map_err(|err| err.to_string())?;
    if spent.token != token {
        return Err("another token was answered than the one that was used".to_owned());
    }
    Ok(())
}

fn request(random: &mut Random) -> Result<token::Use, String> {
    let token = Token::new(random.token()).map_err(|err| err.to_string())?;
    let audit = Json::new(AUDIT).map_err(|err| err.to_string())?;
    Ok(token::Use { token, audit: Some(audit), expires: None })
}
