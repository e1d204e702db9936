//! The workload `token-get`: reads a random one of many tokens that were used. It is a read that any member of a cluster answers.

use std::sync::Arc;

use enroll_client::Client;
use enroll_client::protocol::{Token, token};

use super::pipelined::call_all;
use super::random::Random;
use super::token_use;

/// The tokens that were used.
pub(crate) type Used = Arc<[Token]>;

/// Uses `records` tokens.
pub(crate) async fn prepare(client: &Client, records: u64) -> Result<Used, String> {
    let (mut random, mut used) = (Random::new(), Vec::new());
    let requests = (0..records).map(|_| token_use::request(&mut random).map(|request| (request, ())));
    call_all(client, requests, |spent, ()| {
        used.push(spent.token);
        Ok(())
    })
    .await?;
    Ok(used.into())
}

/// Does one operation and checks its reply.
pub(crate) async fn run_once(used: &Used, client: &Client, random: &mut Random) -> Result<(), String> {
    let token = random.choose(used).ok_or("there is no token to read")?;
    let found = client.call(token::Get { token: token.clone() }).await.map_err(|err| err.to_string())?;
    if found.token != *token {
        return Err("the reply has another token than the request".to_owned());
    }
    Ok(())
}
