//! Memory: a burst's memory goes back to the system when it is over.

use std::time::{Duration, Instant};

use enroll_protocol::limits::JSON_BYTES_MAX;
use enroll_protocol::{Json, person};
use enroll_tests::process::Home;
use enroll_tests::socket::Socket;

/// Memory that a daemon may keep after a burst: less than a tenth of the burst.
const LEFT_BYTES_MAX: u64 = 48 << 20;

/// The time that this may take.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn memory_goes_back_after_a_burst_of_large_answers_that_nobody_takes() {
    let home = Home::make();
    home.configure("[server]\nconnections = 1024\nconnections_per_uid = 1024\nmemory_mib = 2048\n");
    let daemon = home.start();
    let path = daemon.home.socket();
    let mut first = Socket::connect(&path);
    let text = "x".repeat(JSON_BYTES_MAX - 100);
    for number in 0..20 {
        let mut create = person::Create::new(format!("BIG{number}").parse().expect("a callsign"));
        create.extra = Json::new(&format!("{{\"text\":\"{text}\"}}")).expect("an object");
        first.call(&create).expect("made");
    }
    first.call(&person::List::default()).expect("a page");
    let before = daemon.resident_bytes();
    let mut stay = Vec::new();
    for connections in [100, 500] {
        let mut sockets: Vec<Socket> = (0..connections).map(|_| Socket::connect(&path)).collect();
        for socket in &mut sockets {
            for _ in 0..4 {
                socket.ask(&person::List::default());
            }
        }
        let poll = |what: &str, is_so: &dyn Fn(u64) -> bool| {
            let begun = Instant::now();
            while !is_so(daemon.resident_bytes()) {
                let bytes = daemon.resident_bytes();
                assert!(
                    begun.elapsed() < PATIENCE,
                    "{what}, {connections} connections: {before} bytes before, {bytes} now"
                );
                std::thread::yield_now();
            }
        };
        poll("the burst does not take much", &|bytes| bytes > before + connections * (400 << 10));
        // A few stay, so that what is free lies between what is not.
        stay.extend(sockets.into_iter().step_by(60));
        poll("memory does not go back", &|bytes| bytes < before + LEFT_BYTES_MAX);
    }
    drop(stay);
    first.call(&person::List::default()).expect("a page, as before");
}
