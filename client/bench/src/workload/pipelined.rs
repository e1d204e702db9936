//! Pipelined requests: many over one connection, sent ahead of their answers, to fill a registry fast.

use std::collections::VecDeque;

use enroll_client::Client;
use enroll_client::protocol::Operation;

/// Requests in flight: more than the daemon commits at once.
const IN_FLIGHT: usize = 2048;

/// Sends all requests and gives each reply to `take`, in the order of the requests, with the value paired with it.
pub(crate) async fn call_all<O: Operation, T>(
    client: &Client,
    requests: impl Iterator<Item = Result<(O, T), String>>,
    mut take: impl FnMut(O::Reply, T) -> Result<(), String>,
) -> Result<(), String> {
    let mut open = VecDeque::with_capacity(IN_FLIGHT);
    for request in requests {
        let (request, paired) = request?;
        open.push_back((client.call(request), paired));
        if open.len() == IN_FLIGHT
            && let Some((answer, paired)) = open.pop_front()
        {
            take(answer.await.map_err(|err| err.to_string())?, paired)?;
        }
    }
    for (answer, paired) in open {
        take(answer.await.map_err(|err| err.to_string())?, paired)?;
    }
    Ok(())
}
