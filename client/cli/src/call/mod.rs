//! `enrollctl call`: requests from standard input, one JSON object per line, answered in the order of the lines.
//!
//! Requests are sent in that order too, up to a window of them ahead of their answers. Answers are printed as soon as
//! no more are ready, so a program may write one line and wait for its answer. When the daemon stays away, every open
//! and every later line is answered `unavailable`.

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

/// Answers are printed at the latest when this much of them is ready.
const PRINT_BYTES: usize = 64 << 10;

/// Answers standard input until its end.
pub(crate) async fn run(options: &Options) -> Result<ExitCode, Failure> {
    let client = match options.connect().await {
        // Perhaps it is just being started; the lines have the usual time to find it.
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
    answer: Coming,
}

enum Coming {
    Refused(Refusal),
    Asked(&'static OperationRow, Answer),
}

/// Answers every question; returns why the daemon was unavailable, if it was.
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
            // Neither is ready: what is to be printed is printed before waiting.
            () = std::future::ready(()), if !ready.is_empty() => printer.print(std::mem::take(&mut ready)).await?,
            else => break,
        }
    }
    printer.finish().await?;
    Ok(gone)
}

fn ask(client: &Client, question: Question, gone: Option<&str>) -> Open {
    let answer = match (question.ask, gone) {
        (_, Some(message)) => Coming::Refused(Refusal::new(Code::UNAVAILABLE, message)),
        (Err(refusal), None) => Coming::Refused(refusal),
        (Ok(ask), None) => Coming::Asked(ask.row, client.call_raw(ask.row, ask.envelope, &ask.request)),
    };
    Open { id: question.id, answer }
}

/// Waits for the answer of the first line, and takes that line out. May be given up and called again.
async fn first_answer(open: &mut VecDeque<Open>) -> (String, Result<String, Error>) {
    let Some(first) = open.front_mut() else { return std::future::pending().await };
    let answer = match &mut first.answer {
        Coming::Refused(refusal) => Err(Error::Refused(refusal.clone())),
        Coming::Asked(row, answer) => answer.await.and_then(|reply| {
            (row.reply_to_json)(&reply).map_err(|err| Error::Protocol(format!("the reply of {}: {err}", row.name)))
        }),
    };
    (open.pop_front().map(|first| first.id).unwrap_or_default(), answer)
}

/// Appends the line of an answer. Its parts are JSON already and are put together as text, so that numbers stay as
/// they are.
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

    /// What is answered where no daemon is: lines that are refused here are, as long as none was sent.
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
    fn answers_are_put_together_as_text() {
        let mut lines = Vec::new();
        append(&mut lines, "[1, 2]", Ok(r#"{"n":1.50}"#.to_owned()));
        append(&mut lines, "7", Err(Error::Refused(Refusal::new(Code::NOT_FOUND, "no \"x\""))));
        let expected = "{\"id\":[1, 2],\"ok\":{\"n\":1.50}}\n\
                        {\"id\":7,\"error\":{\"code\":\"not_found\",\"message\":\"no \\\"x\\\"\",\"details\":null}}\n";
        assert_eq!(String::from_utf8_lossy(&lines), expected);
    }
}
