//! A disk that takes no more, under the real daemon: the kernel refuses to let its file grow. What could not be
//! committed is not acknowledged, the daemon ends with a code of its own, and the next start finds what is there.

use std::time::Duration;

use enroll_client::blocking::Client;
use enroll_client::protocol::{Code, Json, Key, Pk, token};
use enroll_client::{Client as AsyncClient, Error};
use enroll_tests::process::{Home, PATIENCE};

use super::expect_sound;

/// Two or four MiB, by what the shell counts in: more than a new database has, less than some thousand tokens need.
const BLOCKS: &str = "4096";

const TOKENS_MAX: u32 = 20_000;

fn use_token(number: u32) -> token::Use {
    let audit = Json::new(&format!("{{\"a\":\"{}\"}}", "x".repeat(1000))).ok();
    token::Use { audit, ..token::Use::new(format!("token {number}").parse().expect("a token")) }
}

fn key(number: u32) -> Key {
    let mut bytes = [7; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    Key(Pk::from_bytes(bytes))
}

#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let home = Home::make();
    let enrolld = home.enrolld();
    let mut limited = home.command("sh".as_ref());
    limited.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {BLOCKS}; exec \"$0\" \"$@\""));
    limited.arg(enrolld.get_program()).args(enrolld.get_args());
    let mut daemon = home.start_with(&mut limited);

    let builder = AsyncClient::builder(daemon.home.socket()).reconnect_for(Duration::from_millis(50));
    let client: Client = builder.connect_blocking().expect("a connection");
    let refused = (0..TOKENS_MAX).find_map(|number| {
        let outcome = client.request(use_token(number)).key(key(number)).send();
        outcome.err().map(|err| (number, err))
    });
    let (failed, err) = refused.expect("the file can not grow for ever");
    assert!(matches!(err, Error::Unavailable(_)), "{err:?}");
    assert_eq!(daemon.ended(PATIENCE), Some(6), "{}", daemon.log());
    assert!(daemon.log().contains("enrolld: the disk failed"), "{}", daemon.log());

    daemon.restart();
    let client = daemon.client();
    for number in 0..failed {
        let refusal = client.call(use_token(number)).expect_err("it was used");
        assert_eq!(refusal.refusal().map(|refusal| refusal.code), Some(Code::TOKEN_REUSE), "token {number}");
    }
    client.request(use_token(failed)).key(key(failed)).send().expect("used once, whatever became of it");
    expect_sound(&daemon);
}
