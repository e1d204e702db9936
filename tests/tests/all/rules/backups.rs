//! The backup walk: every key and value of the store is in it, of any content, and comes out unchanged.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use enroll_core::context::Grant;
use enroll_core::model::key;
use enroll_core::rules::bootstrap::SCHEMA;
use enroll_core::state::{StoreError, Writes, walk};
use enroll_protocol::backup::{Header, Part, Reader};
use enroll_protocol::server::{Backup, Export, Import};
use enroll_protocol::{Code, Envelope, token};
use enroll_tests::registry::Registry;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// The content of a backup of now, and its longest piece.
fn backed_up(registry: &mut Registry) -> (Header, Map, usize) {
    let pieces = registry.walk(Envelope::default(), &Backup {}).expect("a backup");
    let (mut reader, mut header, mut map) = (Reader::new(), None, Map::new());
    for piece in &pieces {
        reader.push(&piece.0);
        while let Some(part) = reader.next_part().expect("a backup") {
            match part {
                Part::Header(found) => header = Some(found),
                Part::Entry(key, value) => drop(map.insert(key.to_owned(), value.to_owned())),
                Part::End(count) => assert_eq!(count, map.len() as u64),
            }
        }
    }
    reader.finish().expect("whole");
    (header.expect("a header"), map, pieces.iter().map(|piece| piece.0.len()).max().unwrap_or(0))
}

/// The content of the store.
fn stored(registry: &Registry) -> Map {
    let (mut map, (from, to)) = (Map::new(), key::everything());
    let view = registry.store().view().expect("a view");
    let walked = walk(&*view, (&from, &to), 7, |key, value| {
        map.insert(key.to_owned(), value.to_owned());
        Ok::<_, StoreError>(ControlFlow::Continue(()))
    });
    walked.expect("walked");
    map
}

#[test]
fn what_is_in_the_map_is_in_the_backup() {
    for seed in 0..60 {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut registry = Registry::in_memory();
        let mut writes = Writes::new();
        for _ in 0..random.random_range(0..400) {
            let mut bytes = |max: usize| -> Vec<u8> {
                let length = random.random_range(0..max);
                (0..length).map(|_| random.random()).collect()
            };
            // Keys outside every family, so that the registry stays valid; now and then larger than a piece.
            let key = [vec![0xe0], bytes(300)].concat();
            let large = if key.len() == 17 { 200_000 } else { 300 };
            writes.insert(key, Some(bytes(large)));
        }
        registry.store().commit(&writes).expect("committed");
        let (header, map, longest) = backed_up(&mut registry);
        assert!(map == stored(&registry), "seed {seed}");
        assert_eq!((header.schema, header.changes_head, header.at), (SCHEMA, 0, registry.now), "seed {seed}");
        assert!(longest <= 64 << 10, "seed {seed}: a piece of {longest} bytes");
    }
}

#[test]
fn a_backup_says_how_far_it_goes_and_is_no_change() {
    let mut registry = Registry::in_memory();
    for number in 0..9 {
        registry.call(token::Use::new(format!("nonce {number}").parse().expect("a token"))).expect("spent");
    }
    for _ in 0..2 {
        assert_eq!(backed_up(&mut registry).0.changes_head, 9);
    }
}

#[test]
fn everything_is_for_those_only_who_may_do_everything() {
    let mut registry = Registry::in_memory();
    super::check(
        &mut registry,
        r#"
        person.create {"callsign":"BOSS","roles":["superuser"]} => {"pk"..
        person.create {"callsign":"DOG","roles":["admin"]} => {"pk"..
        permission.grant {"role":"admin","permission":"/server/"} => true
        "#,
    );
    for (grant, actor, expected) in [
        (Grant::Operate, "BOSS", Some(Code::PERMISSION_DENIED)),
        (Grant::Decide, "BOSS", Some(Code::PERMISSION_DENIED)),
        (Grant::Admin, "BOSS", None),
        (Grant::Admin, "DOG", Some(Code::PERMISSION_DENIED)),
    ] {
        registry.peer.grant = grant;
        let envelope = Envelope { actor: Some(actor.parse().expect("a name")), ..Envelope::default() };
        let refused = registry.walk(envelope, &Backup {}).err().map(|refusal| refusal.code);
        assert_eq!(refused, expected, "{grant:?} {actor}");
    }
    registry.peer.grant = Grant::Decide;
    // An import goes on from there to what the registry is: this one has people.
    let text = registry.walk(Envelope::default(), &Export::default()).map_err(|refusal| refusal.code);
    assert_eq!(text, Err(Code::PERMISSION_DENIED));
    registry.peer.grant = Grant::Admin;
    let text = registry.walk(Envelope::default(), &Export::default()).expect("an export").concat();
    let cases = [
        (Grant::Read, None, Code::PERMISSION_DENIED),
        (Grant::Operate, None, Code::PERMISSION_DENIED),
        (Grant::Operate, Some("BOSS"), Code::PERMISSION_DENIED),
        (Grant::Decide, None, Code::PERMISSION_DENIED),
        (Grant::Admin, Some("BOSS"), Code::CONFLICT),
        (Grant::Admin, Some("DOG"), Code::PERMISSION_DENIED),
        (Grant::Admin, None, Code::CONFLICT),
    ];
    for (grant, actor, expected) in cases {
        registry.peer.grant = grant;
        let envelope = Envelope { actor: actor.map(|name| name.parse().expect("a name")), ..Envelope::default() };
        let refused = registry.call_with(envelope, Import { at: 0, text: text.clone() });
        assert_eq!(refused.map_err(|refusal| refusal.code), Err(expected), "{grant:?} {actor:?}");
    }
}
