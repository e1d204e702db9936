//! What must never stand in a log, even at its most talkative: tokens, codes, JWTs, and the key.
//!
//! Right ones and wrong ones are sent, with every operation that takes them, in both forms of the log. What the command
//! line does with secrets is tested with the verbs.

use enroll_protocol::token;
use enroll_tests::process::{Conversation, Home};
use serde_json::json;

use enroll_tests::socket::Socket;

const TOKEN: &str = "canary-token-0123456789";
const WRONG_CODE: &str = "CANARYCANARY";
const WRONG_JWT: &str = "eyJjYW5hcnkiOjF9.eyJjYW5hcnkiOjJ9.Y2FuYXJ5Y2FuYXJ5";

#[test]
fn no_secret_stands_in_the_log_at_its_most_talkative() {
    for format in ["text", "json"] {
        let mut daemon = Home::make().with("ENROLLD_LOG", "trace").with("ENROLLD_LOG_FORMAT", format).start();
        let made = daemon.enrollctl(&["--json", "code", "create", "{}"], "").json();
        let code = made["code"].as_str().expect("a code").to_owned();
        let exchanged = daemon.enrollctl(&["--json", "code", "use"], &code).json();
        let jwt = exchanged["jwt"].as_str().expect("a JWT").to_owned();
        let mut lines = Vec::new();
        for token in [TOKEN.to_owned(), TOKEN.repeat(100)] {
            for op in ["token.use", "token.use", "token.get", "token.delete"] {
                lines.push(json!({"op": op, "args": {"token": token}}));
            }
        }
        for code in [code.clone(), code.to_lowercase(), WRONG_CODE.to_owned()] {
            for op in ["code.use", "code.get", "code.delete"] {
                lines.push(json!({"op": op, "args": {"code": code}, "actor": "nobody"}));
                lines.push(json!({"op": op, "args": {"code": code}}));
            }
        }
        for jwt in [jwt.clone(), format!("{jwt}x"), WRONG_JWT.to_owned()] {
            lines.push(json!({"op": "jwt.verify", "args": {"jwt": jwt}}));
        }
        let mut conversation = Conversation::begin(&daemon.home);
        for line in &lines {
            conversation.say(&line.to_string());
        }
        assert_eq!(conversation.finish().0.len(), lines.len());
        let mut cut_off = Socket::connect(&daemon.home.socket());
        cut_off.ask(&token::Use::new(TOKEN.parse().expect("a token")));
        drop(cut_off);
        let key = std::fs::read_to_string(daemon.home.state_dir().join("enrolld.key")).expect("a key");
        assert_eq!(daemon.terminate(), Some(0));

        let log = daemon.log();
        assert!(log.contains("connected"), "the log says something: {log}");
        let parts = jwt.split('.').chain(WRONG_JWT.split('.')).skip(1);
        for secret in [TOKEN, &code, &code.to_lowercase(), WRONG_CODE, key.trim()].into_iter().chain(parts) {
            assert!(!log.contains(secret), "{secret} stands in the log:\n{log}");
        }
    }
}
