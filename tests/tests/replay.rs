//! Replay of the fuzz corpus and of its seeds. A binary of its own, with one test: it counts the memory of the
//! whole process.

use std::alloc::System;
use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use enroll_core::context::{Grant, Peer};
use enroll_protocol::encoding::Encoding;
use enroll_protocol::frame::{self, FrameKind, FrameReader};
use enroll_protocol::limits::{BULK_UNITS_MAX, FRAME_BYTES_MAX, TRANSACTION_UNITS_MAX};
use enroll_protocol::program::{self, EnrollmentUnit, Pair};
use enroll_protocol::transaction::{Run, Unit};
use enroll_protocol::{Envelope, Json, Operation, Pk, codec, person, token};
use enroll_tests::fuzz::{INPUT_BYTES_MAX, TARGETS, seeds};
use enrolld::dispatch;
use enrolld::net::request_memory::request_bytes;
use peakmem_alloc::{INSTRUMENTED_SYSTEM, PeakMemAlloc, PeakMemAllocTrait as _};

#[global_allocator]
static MEMORY: &PeakMemAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The memory that any input may take: the largest frame in a buffer that has doubled, or the start of a few lists
/// whose lengths are claimed. Less than [`CLAIM`] claims.
const MEMORY_BYTES_MAX: usize = 8 << 20;

/// A length of 15 MiB on the wire: what a decoder would let pass.
const CLAIM: [u8; 5] = [0xfc, 0, 0, 0xf0, 0];

#[test]
fn input_takes_little_memory() {
    everything_that_was_kept_holds_and_takes_little_memory();
    requests_take_no_more_than_they_reserve();
}

fn everything_that_was_kept_holds_and_takes_little_memory() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names("fuzz_targets", ".rs"), targets, "fuzz/fuzz_targets has a file for each target");
    assert_eq!(names("corpus", ""), targets, "fuzz/corpus has a folder for each target");
    let seeds = seeds();
    for (target, run) in TARGETS {
        // Memory of values that are made once and kept counts for no input.
        run(&[0; 64]);
        for seed in seeds.iter().filter(|seed| seed.target == *target) {
            replay(*run, &seed.bytes, &format!("the seed {target}/{}", seed.name));
        }
        for seed in seeds.iter().filter(|seed| seed.target == *target && seed.target == "request") {
            for at in 2..seed.bytes.len() {
                let claiming = [&seed.bytes[..at], &CLAIM, &seed.bytes[at + 1..]].concat();
                replay(*run, &claiming, &format!("{} with a length claimed at {at}", seed.name));
            }
        }
        let kept = files(&folder("corpus").join(target));
        assert!(!kept.is_empty(), "the corpus of {target} is empty");
        for path in kept {
            replay(*run, &std::fs::read(&path).expect("an input"), &path.display().to_string());
        }
    }
}

/// The largest and the smallest units of bulk writes, and the largest texts: decoded, each takes no more than it reserves.
fn requests_take_no_more_than_they_reserve() {
    let key = |number: usize, length: usize| format!("{number:0length$}").parse().expect("a key");
    for (units, length) in [(10, 5), (BULK_UNITS_MAX, 5), (BULK_UNITS_MAX, 36), (1500, 255)] {
        let unit = |number| EnrollmentUnit {
            external_key: key(number, length),
            curriculum: None,
            status: "enrolled".to_owned(),
            person: Some("A".parse().expect("a reference")),
        };
        let enrollments = (0..units).map(unit).collect();
        expect_reserved(&program::Enroll {
            program: Pk::from_bytes([0; 16]),
            create: false,
            update: true,
            enrollments,
        });
        let pair = |number| Pair { external_key: key(number, length), person: "A".parse().expect("a reference") };
        expect_reserved(&program::Link { program: Pk::from_bytes([0; 16]), links: (0..units).map(pair).collect() });
    }
    let extra = Json::new(&format!("{{\"a\":\"{}\"}}", "x".repeat(60_000))).expect("an object");
    let create = person::Create { extra, ..person::Create::new("DOG".parse().expect("a callsign")) };
    expect_reserved(&create);
    let spend = token::Use::new("t".parse().expect("a token"));
    for units in [vec![Unit::of(&create); 15], vec![Unit::of(&spend); TRANSACTION_UNITS_MAX], vec![Unit::of(&spend)]] {
        expect_reserved(&Run { units });
    }
}

fn expect_reserved<O: Operation>(request: &O) {
    let json = serde_json::json!({"op": O::ROW.name, "args": request}).to_string();
    let compact = [codec::encode(&Envelope::default()), codec::encode(request)].concat();
    for (encoding, number, body) in [
        (Encoding::Binary, O::ROW.number, &compact[..]),
        (Encoding::Json, O::ROW.number, json.as_bytes()),
        (Encoding::Json, 0, json.as_bytes()),
    ] {
        let mut bytes = Vec::new();
        frame::append_with(&mut bytes, FrameKind::Request, number, 1, |bytes| bytes.extend_from_slice(body));
        if bytes.len() > FRAME_BYTES_MAX {
            continue;
        }
        let mut reader = FrameReader::new(FRAME_BYTES_MAX);
        reader.push(&bytes);
        let frame = reader.next_frame().expect("a frame").expect("whole");
        let peer =
            Peer { uid: 0, pid: 1, connection: 1, grant: Grant::Admin, delegation: Arc::default(), member: None };
        MEMORY.reset_peak_memory();
        let decoded = dispatch::request(&frame, encoding, &peer).map(|(_, _, job)| job);
        let (peak, reserved) =
            (MEMORY.get_peak_memory(), request_bytes(encoding, number, bytes.len(), FRAME_BYTES_MAX));
        let what = format!("{} of {} bytes in {encoding:?}", O::ROW.name, bytes.len());
        assert!(decoded.is_ok(), "{what}");
        assert!(peak <= reserved, "{what} takes {peak} and reserves {reserved}");
    }
}

fn replay(run: fn(&[u8]), bytes: &[u8], what: &str) {
    assert!(bytes.len() <= INPUT_BYTES_MAX, "{what} is longer than {INPUT_BYTES_MAX} bytes");
    MEMORY.reset_peak_memory();
    let held = catch_unwind(|| run(bytes));
    let peak = MEMORY.get_peak_memory();
    assert!(held.is_ok(), "{what} does not hold");
    assert!(peak <= MEMORY_BYTES_MAX, "{what} takes {peak} bytes of memory");
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz").join(name)
}

/// The names of what is in a folder of `fuzz`, without this ending.
fn names(name: &str, ending: &str) -> BTreeSet<String> {
    let files = files(&folder(name));
    let names = files.iter().filter_map(|path| path.file_name()?.to_str()?.strip_suffix(ending));
    names.map(str::to_owned).collect()
}

fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|err| panic!("{}: {err}", folder.display()));
    entries.map(|entry| entry.expect("an entry").path()).collect()
}
