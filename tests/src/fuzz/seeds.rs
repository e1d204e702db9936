//! Seed inputs of the fuzz targets: the golden bytes of every operation in the form of each target, and other valid
//! input.

use std::fmt::Write as _;

use enroll_protocol::frame::{self, FrameKind};
use enroll_protocol::operations::TABLE;
use enroll_protocol::server::Export;
use enroll_protocol::{Envelope, Kind, codec, person};
use enrolld::config::EXAMPLE;
use rand::rngs::ChaCha20Rng;
use rand::{Rng as _, SeedableRng as _};

use super::shapes::Shape;
use crate::registry::Registry;

const GOLDEN: &str = include_str!("../../golden/wire.txt");

/// Histories, and the bytes of each.
const HISTORIES: u64 = 32;
const HISTORY_BYTES: usize = 256;

/// An input that a target can begin with.
pub struct Seed {
    /// The target.
    pub target: &'static str,
    /// The file name.
    pub name: String,
    /// The input.
    pub bytes: Vec<u8>,
}

/// Every seed of every target.
pub fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    operations(&mut seeds);
    connections(&mut seeds);
    configurations(&mut seeds);
    exports(&mut seeds);
    for number in 0..HISTORIES {
        let mut bytes = vec![0; HISTORY_BYTES];
        ChaCha20Rng::seed_from_u64(number).fill_bytes(&mut bytes);
        seeds.push(Seed { target: "history", name: format!("random-{number}"), bytes });
    }
    seeds
}

/// The golden bytes under this name.
fn golden(name: &str, what: &str) -> Vec<u8> {
    let line = GOLDEN.lines().find_map(|line| line.strip_prefix(&format!("{name} {what} "))).expect("golden bytes");
    let pairs = line.as_bytes().chunks_exact(2).map(|pair| str::from_utf8(pair).expect("hex"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hex")).collect()
}

fn operations(seeds: &mut Vec<Seed>) {
    for (row, operation) in TABLE.iter().zip(0_u8..) {
        let (request, reply) = (golden(row.name, "request"), golden(row.name, "reply"));
        let json = (Shape::chosen(operation).json)(&request).expect("JSON");
        let line = format!("{{\"id\":1,\"op\":\"{}\",\"args\":{json},\"actor\":\"BOSS\",\"key\":null}}\n", row.name);
        let mut seed = |target, parts: &[&[u8]]| {
            seeds.push(Seed { target, name: row.name.to_owned(), bytes: parts.concat() });
        };
        seed("request", &[&[operation, 0], &codec::encode(&Envelope::default()), &request]);
        seed("reply", &[&[operation], &reply]);
        seed("json", &[&[operation], json.as_bytes()]);
        seed("json_request", &[&[operation << 1, 0], format!("{{\"args\":{json},\"dry_run\":true}}").as_bytes()]);
        seed("json_request", &[&[1, 0], line.trim_end().as_bytes()]);
        if row.kind != Kind::Stream {
            seed("ndjson", &[&[0], line.as_bytes()]);
        }
    }
    let full = [&[1, 0][..], &golden("envelope", "full"), &golden("person.get", "request")].concat();
    seeds.push(Seed { target: "request", name: "envelope".to_owned(), bytes: full });
}

fn connections(seeds: &mut Vec<Seed>) {
    let mut request = Vec::new();
    let body = [codec::encode(&Envelope::default()), golden("person.get", "request")].concat();
    frame::append_with(&mut request, FrameKind::Request, 2, 1, |bytes| bytes.extend_from_slice(&body));
    let json = [golden("hello", "json"), golden("person.get", "json")].concat();
    for (target, front) in [("frame", [255, 3]), ("handshake", [3, 0])] {
        seeds.push(Seed { target, name: "json".to_owned(), bytes: [&front, &json[..]].concat() });
    }
    for name in ["hello", "welcome", "refused", "item", "end", "begun"] {
        let frames = [golden(name, "frame"), request.clone()].concat();
        seeds.push(Seed { target: "frame", name: name.to_owned(), bytes: [&[255, 3], &frames[..]].concat() });
        seeds.push(Seed { target: "handshake", name: name.to_owned(), bytes: [&[3, 0], &frames[..]].concat() });
    }
}

/// The lines of a small export, all together and each by itself.
fn exports(seeds: &mut Vec<Seed>) {
    let mut registry = Registry::in_memory();
    registry.call(person::Create::new("DOGGO01a".parse().expect("a callsign"))).expect("a person");
    let export = Export { with_secrets: false };
    let text = registry.walk(Envelope::default(), &export).expect("an export").concat();
    let lines: Vec<&str> = text.lines().skip(1).collect();
    let records = &lines[..lines.len() - 1];
    for (name, lines) in [("all".to_owned(), records)]
        .into_iter()
        .chain(records.chunks(1).enumerate().map(|(at, line)| (format!("line-{at}"), line)))
    {
        seeds.push(Seed { target: "import", name, bytes: [&[40], lines.join("\n").as_bytes()].concat() });
    }
}

fn configurations(seeds: &mut Vec<Seed>) {
    let written =
        EXAMPLE.lines().map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line));
    let keys = written.filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut file = String::new();
    for line in keys {
        writeln!(file, "{line}").expect("written");
    }
    let variables = "ENROLLD_CODE_SIZE=9\nENROLLD_DATABASE_FAST_START=true\nENROLLD_GRANTS_READ=user:a, group:b";
    let both = format!("{file}\0{variables}");
    for (name, text) in [("defaults", &*file), ("environment", &*format!("\0{variables}")), ("both", &*both)] {
        seeds.push(Seed { target: "config", name: name.to_owned(), bytes: text.as_bytes().to_vec() });
    }
}
