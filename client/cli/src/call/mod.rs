//! The command `call`: a pipeline of requests from standard input, one JSON object per line, answered in their order.
//!
//! Requests are sent in that order too, up to a window ahead of their answers. Answers are printed as soon as no more
//! are ready, so a program may write one line and wait for its answer. If the daemon stays away, every open and every
//! later line is answered `unavailable`.

mod input;
mod line;
mod printer;

use std::collections::VecDeque;
use std::io;
use std::process::ExitCode;

use enroll_client::protocol::limits::IN_FLIGHT_MAX;
use enroll_client::protocol::{Code, OperationRow, Refusal};
use enroll_client::{Answer, Client, Error};

pub use self::input::Lines;
use self::input::Questions;
pub use self::line::{Ask, Question};
use self::printer::Printer;
use crate::failure::{Failure, refusal_of};
use crate::options::Options;
use crate::output::print_json;

/// Bytes of ready answers that are printed at once.
const PRINT_BYTES: usize = 64 << 10;

/// Answers standard input until its end.
pub(crate) async fn run(options: &Options) -> Result<ExitCode, Failure> {
    let client = match options.connect().await {
        // The daemon may be starting; the lines wait for it for the usual time.
        Err(Error::Unavailable(_)) => options.lazy(),
        connected => connected?,
    };
    let questions = input::questions(io::stdin());
    match converse(&client, questions, Printer::start(print_json)).await? {
        None => Ok(ExitCode::SUCCESS),
        Some(message) => Err(Failure::Client(Error::Unavailable(message))),
    }
}

/// A line whose answer is not printed yet.
struct Open {
    /// As JSON.
    id: String,
    answer: Pending,
}

enum Pending {
    Refused(Refusal),
    Asked(&'static OperationRow, Answer),
}

/// Answers every line. Returns why the daemon was unavailable, if it was.
async fn converse(client: &Client, mut questions: Questions, mut printer: Printer) -> Result<Option<String>, Failure> {
    let mut open = VecDeque::with_capacity(IN_FLIGHT_MAX);
    let (mut ready, mut gone, mut at_end) = (Vec::new(), None, false);
    loop {
        tokio::select! {
            biased;
            answer = first_answer(&mut open), if !open.is_empty() => {
                if let Err(Error::Unavailable(message)) = &answer.1 {
                    gone.get_or_insert_with(|| message.clone());
                }
                append(&mut ready, &answer.0, answer.1);
                if ready.len() >= PRINT_BYTES {
                    printer.print(std::mem::take(&mut ready)).await?;
                }
            }
            question = questions.next(), if !at_end && open.len() < IN_FLIGHT_MAX => match question {
                Some(question) => open.push_back(ask(client, question, gone.as_deref())),
                None => at_end = true,
            },
            // Neither is ready, so print before waiting.
            () = std::future::ready(()), if !ready.is_empty() => printer.print(std::mem::take(&mut ready)).await?,
            else => break,
        }
    }
    printer.finish().await?;
    Ok(gone)
}

fn ask(client: &Client, question: Question, gone: Option<&str>) -> Open {
    let answer = match (question.ask, gone) {
        (_, Some(message)) => Pending::Refused(Refusal::new(Code::UNAVAILABLE, message)),
        (Err(refusal), None) => Pending::Refused(refusal),
        (Ok(ask), None) => Pending::Asked(ask.row, client.call_raw(ask.row, ask.envelope, &ask.request)),
    };
    Open { id: question.id, answer }
}

/// Awaits the answer of the first open line and removes the line. Cancel safe.
async fn first_answer(open: &mut VecDeque<Open>) -> (String, Result<String, Error>) {
    let Some(first) = open.front_mut() else { return std::future::pending().await };
    let answer = match &mut first.answer {
        Pending::Refused(refusal) => Err(Error::Refused(refusal.clone())),
        Pending::Asked(row, answer) => answer.await.and_then(|reply| {
            (row.reply_to_json)(&reply).map_err(|err| Error::Protocol(format!("the reply of {}: {err}", row.name)))
        }),
    };
    (open.pop_front().map(|first| first.id).unwrap_or_default(), answer)
}

/// Appends the line of an answer. Its parts are JSON and joined as text, so that numbers keep every digit.
fn append(lines: &mut Vec<u8>, id: &str, answer: Result<String, Error>) {
    let (name, value) = match answer {
        Ok(reply) => ("ok", reply),
        Err(error) => {
            let refusal = refusal_of(&error).unwrap_or_else(|| Refusal::new(Code::INTERNAL, error.to_string()));
            ("error", serde_json::to_string(&refusal).unwrap_or_default())
        }
    };
    for part in ["{\"id\":", id, ",\"", name, "\":", &value, "}\n"] {
        lines.extend_from_slice(part.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::*;

    /// Without a daemon, a line that is refused here is still answered so, as long as no line was sent before.
    #[tokio::test]
    async fn lines_are_answered_in_order_and_all_after_the_daemon_is_gone() {
        let input = "{\"id\":\"a\",\"op\":\"no.such\"}\n\n{\"op\":\"server.status\"}\nnot json\n";
        let client = Client::builder("/nonexistent/enrolld.sock").reconnect_for(Duration::from_millis(1)).lazy();
        let printed = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&printed);
        let printer = Printer::start(move |bytes| {
            kept.lock().expect("a lock").extend_from_slice(bytes);
            Ok(())
        });
        let gone = converse(&client, input::questions(input.as_bytes()), printer).await.expect("a conversation");
        assert!(gone.is_some_and(|message| message.contains("/nonexistent/enrolld.sock")));
        let printed = printed.lock().expect("a lock").clone();
        let lines: Vec<serde_json::Value> = printed
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).expect("json"))
            .collect();
        let answers: Vec<_> = lines.iter().map(|line| (line["id"].clone(), line["error"]["code"].clone())).collect();
        assert_eq!(answers[0], ("a".into(), "unknown_operation".into()));
        assert_eq!(answers[1], (3.into(), "unavailable".into()));
        assert_eq!((answers.len(), &answers[2].0), (3, &4.into()));
    }

    #[test]
    fn answers_are_joined_as_text() {
        let mut lines = Vec::new();
        append(&mut lines, "[1, 2]", Ok(r#"{"n":1.50}"#.to_owned()));
        append(&mut lines, "7", Err(Error::Refused(Refusal::new(Code::NOT_FOUND, "no \"x\""))));
        let expected = "{\"id\":[1, 2],\"ok\":{\"n\":1.50}}\n\
                        {\"id\":7,\"error\":{\"code\":\"not_found\",\"message\":\"no \\\"x\\\"\",\"details\":null}}\n";
        assert_eq!(String::from_utf8_lossy(&lines), expected);
    }
}
