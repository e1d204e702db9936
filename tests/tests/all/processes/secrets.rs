//! Secrets never stand in a log, even at its most talkative: tokens, codes, JWTs, passwords, private keys, and the key.
//!
//! Right ones and wrong ones are sent, with every operation that takes them, in both forms of the log. What the command
//! line does with secrets is tested with the verbs.

use enroll_protocol::token;
use enroll_tests::conversation::Conversation;
use enroll_tests::issuer::Signer;
use enroll_tests::process::Home;
use serde_json::json;

use enroll_tests::socket::Socket;

const TOKEN: &str = "canary-token-0123456789";
const WRONG_CODE: &str = "CANARYCANARY";
const PASSWORD: &str = "canary-password-0123456789";
const WRONG_JWT: &str = "eyJjYW5hcnkiOjF9.eyJjYW5hcnkiOjJ9.Y2FuYXJ5Y2FuYXJ5";

#[test]
fn no_secret_stands_in_the_log_at_its_most_talkative() {
    for format in ["text", "json"] {
        let home = Home::make().with("ENROLLD_LOG", "trace").with("ENROLLD_LOG_FORMAT", format);
        let (issuer, keys) = (Signer::ed(), home.path("issuer.pem"));
        std::fs::write(&keys, &issuer.public).expect("written");
        let trusted = format!("{{ issuer = \"them\", audience = \"us\", keys = \"{}\" }}", keys.display());
        home.configure(&format!("[jwt]\ntrusted = [{trusted}]"));
        let mut daemon = home.start();
        let foreign = issuer.sign(&json!({"iss": "them", "aud": "us", "exp": 32_503_680_000_u64, "nonce": TOKEN}));
        let foreign = foreign.as_str().to_owned();
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
            lines.push(json!({"op": "jwt.refresh", "args": {"jwt": jwt}}));
            lines.push(json!({"op": "jwt.exchange", "args": {"jwt": jwt}}));
        }
        lines.push(json!({"op": "jwt.exchange", "args": {"jwt": foreign}}));
        lines.push(json!({"op": "jwt.exchange", "args": {"jwt": foreign}, "actor": "nobody"}));
        lines.push(json!({"op": "person.create", "args": {"callsign": "DOGGO01a", "certificate": "generate"}}));
        lines.push(json!({"op": "certificate.renew", "args": {"person": "DOGGO01a"}}));
        for person in ["nobody", "DOGGO01a"] {
            for legacy in [true, false] {
                let args = json!({"person": person, "password": PASSWORD, "legacy": legacy});
                lines.push(json!({"op": "certificate.pfx", "args": args}));
            }
            lines.push(json!({"op": "certificate.key", "args": {"person": person}}));
        }
        let mut conversation = Conversation::begin(&daemon.home);
        for line in &lines {
            conversation.say(&line.to_string());
        }
        let answers = conversation.finish().0;
        assert_eq!(answers.len(), lines.len());
        let private = answers.last().and_then(|answer| answer["ok"].as_str()).expect("a private key");
        let private = private.lines().nth(1).expect("its first line");
        let exchanged = answers.iter().filter_map(|answer| answer["ok"]["jwt"].as_str()).count();
        assert_eq!(exchanged, 2, "one was refreshed, and one exchanged");
        let mut cut_off = Socket::connect(&daemon.home.socket());
        cut_off.ask(&token::Use::new(TOKEN.parse().expect("a token")));
        drop(cut_off);
        let key = std::fs::read_to_string(daemon.home.state_dir().join("enrolld.key")).expect("a key");
        assert_eq!(daemon.terminate(), Some(0));

        let log = daemon.log();
        assert!(log.contains("connected"), "the log says something: {log}");
        let parts = [jwt.as_str(), WRONG_JWT, &foreign].into_iter().flat_map(|jwt| jwt.split('.').skip(1));
        let others = [TOKEN, &code, &code.to_lowercase(), WRONG_CODE, key.trim(), PASSWORD, private];
        for secret in parts.chain(others) {
            assert!(!log.contains(secret), "{secret} stands in the log:\n{log}");
        }
    }
}
