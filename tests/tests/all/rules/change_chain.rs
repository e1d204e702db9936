//! The chain of MACs over the change feed: each way to alter the feed afterwards is found.

use enroll_core::identity::Secrets;
use enroll_core::model::change::ChainedChange;
use enroll_core::model::key::{self, Family};
use enroll_core::model::record::{self, ChangesHead};
use enroll_core::state::Writes;
use enroll_protocol::changes::{ChainHead, Head, KeptHead};
use enroll_protocol::server::{Check, Export, Import};
use enroll_protocol::{Code, Envelope, MemberName, token};
use enroll_tests::registry::{KEY, Registry};

const DAY: u64 = 24 * 60 * 60;

fn spend(registry: &mut Registry, numbers: impl IntoIterator<Item = usize>) {
    for number in numbers {
        registry.call(token::Use::new(format!("nonce {number}").parse().expect("a token"))).expect("spent");
    }
}

/// A registry with so many changes.
fn with_changes(count: usize) -> Registry {
    let mut registry = Registry::in_memory();
    spend(&mut registry, 1..=count);
    registry
}

fn stored(registry: &Registry, seq: u64) -> ChainedChange {
    record::get(&*registry.store().view().expect("a view"), &key::change(seq)).expect("read").expect("a change")
}

fn head(registry: &Registry) -> ChangesHead {
    record::get(&*registry.store().view().expect("a view"), &key::changes_head()).expect("read").expect("a head")
}

/// Writes past the rules, as somebody with the file in their hands would.
fn tamper(registry: &Registry, writes: impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>) {
    registry.store().commit(&writes.into_iter().collect::<Writes>()).expect("written");
}

fn kept(head: &ChainHead) -> KeptHead {
    KeptHead { seq: head.seq, mac: head.mac.clone() }
}

/// The findings on the chain against a head that was kept.
fn against(registry: &mut Registry, head: &ChainHead) -> Vec<String> {
    let found = registry.call(Check { head: Some(kept(head)) }).expect("checked");
    found.into_iter().map(|violation| format!("{} {}", violation.invariant, violation.subject)).collect()
}

/// The changes from this one on as an insider with the secret key would write them, with the head that fits.
fn forged(registry: &Registry, from: u64, mut alter: impl FnMut(&mut ChainedChange)) -> Writes {
    let secrets = Secrets::derive(&KEY.into()).expect("keys");
    let (mut head, mut writes) = (head(registry), Writes::default());
    let mut mac = stored(registry, from - 1).mac;
    for seq in from..=head.seq {
        let mut chained = stored(registry, seq);
        alter(&mut chained);
        let (bytes, next) = ChainedChange::encode(&secrets, &mac, seq, &chained.change);
        writes.insert(key::change(seq), Some(bytes));
        mac = next;
    }
    head.chain.mac = mac;
    writes.insert(key::changes_head(), Some(record::encode(&head)));
    writes
}

#[test]
fn every_change_is_chained_to_the_one_before() {
    let mut registry = with_changes(40);
    assert_eq!(registry.violations(), Vec::<String>::new());
    let mut macs: Vec<_> = (1..=40).map(|seq| stored(&registry, seq).mac).collect();
    assert_eq!(registry.call(Head {}).expect("a head").mac.as_str(), enroll_core::model::hex::encode(&macs[39]));
    macs.sort_unstable();
    macs.dedup();
    assert_eq!(macs.len(), 40, "no two are equal, though the changes differ by their number alone");
}

#[test]
fn changes_of_a_cluster_s_members_go_on_in_the_chain_of_those_before() {
    let registry = &mut with_changes(20);
    let before = registry.call(Head {}).expect("a head");
    let member: MemberName = "north".parse().expect("a name");
    registry.peer.member = Some(member.clone());
    spend(registry, 21..=30);
    registry.peer.member = None;
    spend(registry, 31..=40);
    let told: Vec<_> = (19..=32).map(|seq| stored(registry, seq).change.peer.member).collect();
    assert!(told[2..12].iter().all(|told| *told == Some(member.clone())), "{told:?}");
    assert!(told[..2].iter().chain(&told[12..]).all(Option::is_none), "{told:?}");
    assert_eq!(registry.violations(), Vec::<String>::new());
    assert_eq!(against(registry, &before), Vec::<String>::new());
    let mut other = stored(registry, 25);
    other.change.peer.member = Some("south".parse().expect("a name"));
    tamper(registry, [(key::change(25), Some(record::encode(&other)))]);
    assert!(registry.violations()[0].starts_with("I27 25:"), "{:?}", registry.violations());
}

#[test]
fn a_change_that_was_altered_is_found_and_named() {
    let registry = with_changes(20);
    let mut chained = stored(&registry, 7);
    chained.change.peer.uid += 1;
    tamper(&registry, [(key::change(7), Some(record::encode(&chained)))]);
    assert_eq!(registry.violations().len(), 1);
    assert!(registry.violations()[0].starts_with("I27 7:"), "{:?}", registry.violations());
}

#[test]
fn a_change_that_was_left_out_added_or_moved_is_found() {
    // The numbers are put right again each time, so only the chain can tell.
    let (registry, last) = (with_changes(20), 20);
    let moved = (10..last).map(|seq| (key::change(seq), Some(record::encode(&stored(&registry, seq + 1)))));
    let shorter = ChangesHead { seq: last - 1, ..head(&registry) };
    let writes: Vec<_> = moved.chain([(key::change(last), None)]).collect();
    tamper(&registry, writes);
    tamper(&registry, [(key::changes_head(), Some(record::encode(&shorter)))]);
    assert!(registry.violations().iter().any(|found| found.starts_with("I27 10:")), "{:?}", registry.violations());

    let registry = with_changes(20);
    let swapped = [(11, 12), (12, 11)].map(|(to, of)| (key::change(to), Some(record::encode(&stored(&registry, of)))));
    tamper(&registry, swapped);
    assert!(registry.violations().iter().any(|found| found.starts_with("I27 11:")), "{:?}", registry.violations());

    let registry = with_changes(20);
    let longer = ChangesHead { seq: 21, ..head(&registry) };
    let copy = record::encode(&stored(&registry, 20));
    tamper(&registry, [(key::change(21), Some(copy)), (key::changes_head(), Some(record::encode(&longer)))]);
    assert!(registry.violations().iter().any(|found| found.starts_with("I27 21:")), "{:?}", registry.violations());
}

#[test]
fn the_last_changes_can_not_be_cut_off() {
    let registry = with_changes(20);
    let shorter = ChangesHead { seq: 15, ..head(&registry) };
    let cut = (16..=20).map(|seq| (key::change(seq), None));
    tamper(&registry, cut.chain([(key::changes_head(), Some(record::encode(&shorter)))]).collect::<Vec<_>>());
    assert!(registry.violations().iter().any(|found| found.starts_with("I27 15:")), "{:?}", registry.violations());
}

#[test]
fn who_has_the_secret_key_is_found_by_a_head_that_was_kept_elsewhere() {
    let registry = &mut with_changes(20);
    let before = registry.call(Head {}).expect("a head");
    spend(registry, 21..=30);
    assert_eq!(against(registry, &before), Vec::<String>::new(), "it grew, and was not altered");
    let writes = forged(registry, 12, |chained| chained.change.peer.uid = 4_711);
    tamper(registry, writes);
    assert_eq!(registry.violations(), Vec::<String>::new(), "the chain alone can not tell");
    assert_eq!(against(registry, &before), ["I27 20"]);
}

#[test]
fn an_older_state_that_was_put_back_is_found_by_a_head_that_was_kept_elsewhere() {
    let registry = &mut with_changes(20);
    let (earlier, before) = (head(registry), (1..=20).map(|seq| stored(registry, seq)).collect::<Vec<_>>());
    spend(registry, 21..=30);
    let late = registry.call(Head {}).expect("a head");
    let mut writes: Writes = (21..=30).map(|seq| (key::change(seq), None)).collect();
    writes.insert(key::changes_head(), Some(record::encode(&earlier)));
    tamper(registry, writes);
    assert_eq!((1..=20).map(|seq| stored(registry, seq)).collect::<Vec<_>>(), before);
    assert!(against(registry, &late).contains(&"I27 30".to_owned()), "{:?}", against(registry, &late));
}

#[test]
fn the_chain_goes_on_where_the_kept_changes_begin() {
    let registry = &mut Registry::with_settings(|settings| settings.changes_keep_seconds = DAY);
    spend(registry, 1..=10);
    let early = registry.call(Head {}).expect("a head");
    registry.pass_seconds(DAY / 2);
    spend(registry, 11..=20);
    let late = registry.call(Head {}).expect("a head");
    registry.pass_seconds(DAY / 2 + 1);
    while head(registry).forgotten < 10 {
        registry.wake();
    }
    assert_eq!(registry.violations(), Vec::<String>::new());
    assert_eq!(head(registry).chain.from, 10);
    // The last one that was forgotten is still known by its MAC.
    assert_eq!(against(registry, &early), Vec::<String>::new());
    assert_eq!(against(registry, &late), Vec::<String>::new());
    let older = ChainHead { seq: 9, ..early };
    let refused = registry.call(Check { head: Some(kept(&older)) }).expect_err("no longer known");
    assert_eq!(refused.code, Code::EXPIRED);
    assert!(refused.message.contains("behind change 10"), "{}", refused.message);
    let mut first = stored(registry, 11);
    first.change.origin = Some("elsewhere".parse().expect("an origin"));
    tamper(registry, [(key::change(11), Some(record::encode(&first)))]);
    assert!(registry.violations()[0].starts_with("I27 11:"), "{:?}", registry.violations());
}

#[test]
fn an_imported_history_is_not_of_the_chain_and_what_follows_is() {
    let exported =
        with_changes(12).walk(Envelope::default(), &Export { with_secrets: true }).expect("an export").concat();
    let macs: Vec<_> = exported.split("mac\":\"").skip(1).map(|rest| &rest[..32]).collect();
    assert!(macs.iter().all(|mac| mac.bytes().all(|digit| digit == b'0')), "no MAC is exported: {macs:?}");
    let registry = &mut Registry::in_memory();
    for (at, text) in [(0, exported.clone()), (exported.len() as u64, String::new())] {
        registry.call(Import { at, text }).expect("taken");
    }
    let after = registry.call(Head {}).expect("a head");
    assert_eq!((after.seq, after.from), (12, 12));
    spend(registry, 13..=20);
    assert_eq!(registry.violations(), Vec::<String>::new());
    let count = registry
        .store()
        .view()
        .expect("a view")
        .range(&Family::Changes.bounds().0, &Family::Changes.bounds().1, 99)
        .expect("changes")
        .len();
    assert_eq!(count, 20);
    let mut chained = stored(registry, 13);
    chained.change.peer.uid += 1;
    tamper(registry, [(key::change(13), Some(record::encode(&chained)))]);
    assert!(registry.violations()[0].starts_with("I27 13:"), "{:?}", registry.violations());
}
