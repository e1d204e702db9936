//! Many requests over one connection, asked for ahead of their answers: how a registry is filled fast.

use std::collections::VecDeque;

use enroll_client::Client;
use enroll_client::protocol::Operation;

/// Requests asked for ahead of their answers: more than the daemon commits at once.
const AHEAD: usize = 2048;

/// Asks for all of these and hands on each answer, in the order of the requests, with what was put beside its request.
pub(super) async fn ask_all<O: Operation, T>(
    client: &Client,
    requests: impl Iterator<Item = Result<(O, T), String>>,
    mut take: impl FnMut(O::Reply, T) -> Result<(), String>,
) -> Result<(), String> {
    let mut open = VecDeque::with_capacity(AHEAD);
    for request in requests {
        let (request, beside) = request?;
        open.push_back((client.call(request), beside));
        if open.len() == AHEAD
            && let Some((answer, beside)) = open.pop_front()
        {
            take(answer.await.map_err(|err| err.to_string())?, beside)?;
        }
    }
    for (answer, beside) in open {
        take(answer.await.map_err(|err| err.to_string())?, beside)?;
    }
    Ok(())
}
