//! The workload `token-use`: a new one-time token each time, with an audit of usual size.

use enroll_client::Client;
use enroll_client::protocol::{Json, Token, token};

use super::random::Random;

/// The same as in measurements of other stores, so that they compare.
const AUDIT: &str = r#"{"ip":"192.0.2.17","ua":"enroll-cli/1.0","at":1700000000000}"#;

/// One operation.
pub(crate) async fn run_once(client: &Client, random: &mut Random) -> Result<(), String> {
    let token = Token::new(random.token()).map_err(|err| err.to_string())?;
    let audit = Json::new(AUDIT).map_err(|err| err.to_string())?;
    let request = token::Use { token: token.clone(), audit: Some(audit), expires: None };
    let spent = client.call(request).await.map_err(|err| err.to_string())?;
    if spent.token != token {
        return Err("another token was answered than the one that was used".to_owned());
    }
    Ok(())
}
