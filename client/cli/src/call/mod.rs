//! The command `call`: a pipeline of requests from standard input, one JSON object per line, answered in their order.
//!
//! Requests are sent in that order too, up to a window ahead of their answers. Answers are printed as soon as no more
//! are ready, so a program may write one line and wait for its answer. A daemon that went away is looked for as long as
//! lines come: those that come meanwhile are answered `unavailable`, and later ones are served.

mod input;
mod line;
mod printer;
mod window;

use std::io;
use std::process::ExitCode;

use enroll_client::protocol::{Code, Refusal};
use enroll_client::{Client, Error};

pub use self::input::Lines;
use self::input::Questions;
pub use self::line::{Ask, Question};
use self::printer::Printer;
pub(crate) use self::window::Window;
use crate::failure::{Failure, refusal_of};
use crate::options::Options;
use crate::output::{Output, print_json};

/// Bytes of ready answers that are printed at once.
const PRINT_BYTES: usize = 64 << 10;

/// Answers standard input until its end, or until the reader of standard output closes it. A daemon that is absent at
/// the start is waited for like one that went away; one that refuses the connection is an error.
pub(crate) async fn run(options: &Options, output: &Output) -> Result<ExitCode, Failure> {
    let client = match options.connect_for_life().await {
        Err(Error::Unavailable(_)) => options.for_life(),
        connected => connected?,
    };
    let questions = input::questions(io::stdin());
    let answered = converse(&client, questions, Printer::start(print_json));
    tokio::select! {
        biased;
        () = output.closed() => Err(Failure::lost(&io::ErrorKind::BrokenPipe.into())),
        answered = answered => match answered? {
            None => Ok(ExitCode::SUCCESS),
            Some(message) => Err(Failure::Client(Error::Unavailable(message))),
        }
    }
}

/// Answers every line. Returns why the daemon was unavailable for the last one, if it was.
async fn converse(client: &Client, mut questions: Questions, mut printer: Printer) -> Result<Option<String>, Failure> {
    let mut window = Window::default();
    let (mut ready, mut gone, mut at_end) = (Vec::new(), None, false);
    loop {
        tokio::select! {
            biased;
            (id, answer) = window.first_answer(), if !window.is_empty() => {
                gone = match &answer {
                    Err(Error::Unavailable(message)) => Some(message.clone()),
                    _ => None,
                };
                append(&mut ready, &id, answer);
                if ready.len() >= PRINT_BYTES {
                    printer.print(std::mem::take(&mut ready)).await?;
                }
            }
            question = questions.next(), if !at_end && window.has_room() => match question {
                Some(question) => window.ask(client, question),
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

/// Appends the line of an answer. Its parts are JSON and joined as text, so that numbers keep every digit.
pub(crate) fn append(lines: &mut Vec<u8>, id: &str, answer: Result<String, Error>) {
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

    #[tokio::test]
    async fn without_a_daemon_lines_are_answered_in_order_and_wrong_ones_are_told_so() {
        let status = "{\"op\":\"server.status\"}\n";
        let input = format!("{{\"id\":\"a\",\"op\":\"no.such\"}}\n\n{status}not json\n{status}");
        let client = Client::builder("/nonexistent/enrolld.sock").reconnect_for(Duration::from_millis(1)).lazy();
        let printed = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&printed);
        let printer = Printer::start(move |bytes| {
            kept.lock().expect("a lock").extend_from_slice(bytes);
            Ok(())
        });
        let gone = converse(&client, input::questions(io::Cursor::new(input)), printer).await.expect("a conversation");
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
        assert_eq!(answers[2], (4.into(), "invalid_argument".into()));
        assert_eq!(answers[3..], [(5.into(), "unavailable".into())]);
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
