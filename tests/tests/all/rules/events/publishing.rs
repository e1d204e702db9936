//! Making, publishing, changing and canceling events; their owners; refused values.

use enroll_core::context::Grant;
use enroll_tests::registry::Registry;
use enrolld::config::Config;

use super::people;
use crate::rules::check;

#[test]
fn an_event_goes_from_draft_to_canceled_and_never_back() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60} => ..,"update_state":"draft","actions":["save","publish"]..
        OWNER> event.unpublish {"event":"$E"} => invalid_transition
        OWNER> event.cancel {"event":"$E"} => invalid_transition
        M1> event.publish {"event":"$E"} => permission_denied
        OWNER> event.publish {"event":"$E"} => ..,"update_state":"published","actions":["save","unpublish"]..
        OWNER> event.publish {"event":"$E"} => invalid_transition
        OWNER> event.cancel {"event":"$E"} => invalid_transition
        OWNER> event.unpublish {"event":"$E"} => ..,"update_state":"draft"..
        OWNER> event.update {"event":"$E","published":true} => ..,"update_state":"published"..
        M1> registration.create {"event":"$E","person":"M1"} => {"pk"..
        OWNER> event.get {"event":"$E"} => ..,"update_state":"registrations","actions":["save","cancel"]..
        OWNER> event.update {"event":"$E","published":false} => event_has_registrations
        OWNER> event.update {"event":"$E","leisure":true} => event_has_registrations
        M1> registration.cancel {"event":"$E","person":"M1"} => {"pk"..
        OWNER> event.unpublish {"event":"$E"} => ..,"update_state":"draft"..
        OWNER> event.publish {"event":"$E"} => ..,"update_state":"published"..
        M1> registration.create {"event":"$E","person":"M1"} => {"pk"..
        OWNER> event.cancel {"event":"$E"} => ..,"update_state":"canceled","actions":["save"]..
        OWNER> event.cancel {"event":"$E"} => invalid_transition
        OWNER> event.unpublish {"event":"$E"} => invalid_transition
        OWNER> event.update {"event":"$E","published":false} => invalid_transition
        OWNER> event.update {"event":"$E","title":"No camp"} => ..,"title":"No camp",..,"update_state":"canceled"..
        M1> registration.cancel {"event":"$E","person":"M1"} => {"pk"..
        OWNER> event.get {"event":"$E"} => ..,"update_state":"canceled"..
        "#,
    );
}

#[test]
fn restricted_kinds_and_other_owners_take_permissions() {
    let config: Config = toml_of("restricted_event_types = [\"social\"]");
    check(
        &mut Registry::configured(&config),
        r#"
        person.create {"callsign":"BOSS","roles":["superuser"]} => {"pk"..
        person.create {"callsign":"OWNER"} => {"pk"..
        person.create {"callsign":"HOST","roles":["host"]} => {"pk"..
        person.create {"callsign":"EDITOR","roles":["editor"]} => {"pk"..
        permission.grant {"role":"host","permission":"/events/create/social/"} => true
        permission.grant {"role":"editor","permission":"/events/edit/social/"} => true
        event.create {"title":"Ball","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60} => invalid_argument
        OWNER> event.create {"title":"Ball","kind":"social","start":"2027-02-01T10:00:00Z","duration_minutes":60} => permission_denied
        OWNER> event.create {"title":"Ball","kind":"camp","owner":"HOST","start":"2027-02-01T10:00:00Z","duration_minutes":60} => permission_denied
        HOST> event.create {"title":"Ball","kind":"camp","owner":"OWNER","start":"2027-02-01T10:00:00Z","duration_minutes":60} => permission_denied
        $S = HOST> event.create {"title":"Ball","kind":"social","start":"2027-02-01T10:00:00Z","duration_minutes":60} => {"pk"..
        $C = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60} => {"pk"..
        OWNER> event.update {"event":"$C","kind":"social"} => permission_denied
        OWNER> event.update {"event":"$C","kind":"meeting"} => ..,"kind":"meeting"..
        OWNER> event.update {"event":"$C","owner":"HOST"} => permission_denied
        OWNER> event.update {"event":"$S","title":"My ball"} => permission_denied
        EDITOR> event.update {"event":"$S","title":"A ball"} => ..,"title":"A ball"..
        EDITOR> event.update {"event":"$S","kind":"camp"} => permission_denied
        EDITOR> event.update {"event":"$C","kind":"social"} => permission_denied
        HOST> event.update {"event":"$S","kind":"camp"} => ..,"kind":"camp"..
        HOST> event.update {"event":"$S","kind":"social"} => ..,"kind":"social"..
        HOST> event.update {"event":"$S","owner":"HOST"} => {"pk"..
        BOSS> event.update {"event":"$S","owner":"OWNER"} => {"pk"..
        OWNER> event.update {"event":"$S","title":"My ball"} => ..,"title":"My ball"..
        HOST> event.update {"event":"$S","title":"My ball"} => permission_denied
        HOST> event.update {"event":"$S","owner":"NOBODY"} => not_found
        "#,
    );
}

fn toml_of(text: &str) -> Config {
    Config::parse(text, []).expect("a configuration")
}

#[test]
fn a_draft_is_seen_by_its_owner_and_editors_and_by_peers_that_act_for_nobody() {
    let registry = &mut people();
    check(
        registry,
        r#"
        person.create {"callsign":"EDITOR","roles":["editor"]} => {"pk"..
        permission.grant {"role":"editor","permission":"/events/edit/camp/"} => true
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60} => {"pk"..
        OWNER> event.get {"event":"$E"} => {"pk"..
        EDITOR> event.get {"event":"$E"} => {"pk"..
        BOSS> event.list {} => {"items":[{"pk":"$E"..
        event.get {"event":"$E"} => {"pk"..
        event.list {} => {"items":[{"pk":"$E"..
        M1> event.get {"event":"$E"} => not_found
        M1> event.list {} => {"items":[],"next":null}
        M1> event.list {"owner":"OWNER"} => {"items":[],"next":null}
        M1> registration.explain {"event":"$E","person":"M1"} => not_found
        M1> registration.create {"event":"$E","person":"M1"} => event_not_published
        OWNER> event.publish {"event":"$E"} => {"pk"..
        M1> event.get {"event":"$E"} => {"pk"..
        M1> event.list {} => {"items":[{"pk":"$E"..
        person.create {"callsign":"DESK","roles":["desk"]} => {"pk"..
        permission.grant {"role":"desk","permission":"/registrations/"} => true
        M1> registration.create {"event":"$E","person":"M1"} => {"pk"..
        DESK> registration.list {} => {"items":[{"pk"..
        M1> registration.cancel {"event":"$E","person":"M1"} => {"pk"..
        OWNER> event.unpublish {"event":"$E"} => {"pk"..
        DESK> registration.list {} => {"items":[],"next":null}
        DESK> registration.list {"event":"$E"} => not_found
        DESK> registration.get {"event":"$E","person":"M1"} => not_found
        M2> registration.get {"event":"$E","person":"M1"} => not_found
        M1> registration.list {"person":"M1"} => {"items":[{"pk"..
        M1> registration.get {"event":"$E","person":"M1"} => not_found
        OWNER> registration.list {"event":"$E"} => {"items":[{"pk"..
        OWNER> event.publish {"event":"$E"} => {"pk"..
        "#,
    );
    registry.peer.grant = Grant::Read;
    check(registry, r#"event.list {} => {"items":[{"pk".."#);
}

#[test]
fn what_is_written_wrongly_is_refused_and_says_so() {
    let pools: Vec<String> =
        (0..33).map(|at| format!(r#"{{"name":"p{at}","capacity":1,"roles":["member"]}}"#)).collect();
    let roles: Vec<String> = (0..17).map(|at| format!("\"r{at}\"")).collect();
    let (pools, most, roles) = (pools.join(","), pools[..32].join(","), roles.join(","));
    let title = "x".repeat(100 << 10);
    let of = |what: &str, answer: &str| {
        let base = r#""kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60"#;
        let base = if what.contains("\"title\"") { base.to_owned() } else { format!(r#""title":"Camp",{base}"#) };
        let kept: Vec<&str> = base
            .split(',')
            .filter(|field| field.split(':').next().is_none_or(|name| !what.starts_with(&format!("{name}:"))))
            .collect();
        format!("OWNER> event.create {{{},{what}}} => {answer}\n", kept.join(","))
    };
    let table = [
        of(r#""pools":[{"name":"a","capacity":1,"roles":["member"]},{"name":"A","capacity":1,"roles":["guest"]}]"#, "invalid_argument"),
        of(r#""pools":[{"name":"a","capacity":1,"roles":[]}]"#, "invalid_argument"),
        of(r#""pools":[{"name":"a","capacity":1}]"#, "invalid_argument"),
        of(r#""pools":[{"name":"a","capacity":1,"roles":["Not A Role"]}]"#, "invalid_argument"),
        of(&format!(r#""pools":[{{"name":"a","capacity":1,"roles":[{roles}]}}]"#), "invalid_argument"),
        of(r#""pools":[{"name":"a","capacity":4294967296,"roles":["member"]}]"#, "invalid_argument"),
        of(r#""pools":[{"name":"a","capacity":-1,"roles":["member"]}]"#, "invalid_argument"),
        of(r#""pools":[{"name":"a","capacity":4294967295,"roles":["member"]}]"#, "{\"pk\".."),
        of(&format!(r#""pools":[{pools}]"#), "invalid_argument"),
        of(r#""max_participants":4294967296"#, "invalid_argument"),
        of(r#""duration_minutes":0"#, "invalid_argument"),
        of(r#""duration_minutes":1000000"#, "invalid_argument"),
        of(r#""start":"2027-02-01T10:00:00""#, "invalid_argument"),
        of(r#""start":"tomorrow""#, "invalid_argument"),
        of(r#""start":"9999-12-30T00:00:00Z""#, "{\"pk\"..,\"time_state\":\"upcoming\".."),
        of(r#""merge_time":"2027-01-01T10:00""#, "invalid_argument"),
        of(&format!(r#""title":"{title}""#), "invalid_argument"),
        of(r#""title":"""#, "invalid_argument"),
        of(r#""approval":"nobody""#, "invalid_argument"),
        of(r#""places":4"#, "invalid_argument"),
        of(r#""owner":"NOBODY""#, "not_found"),
        format!("$E = {}", of(&format!(r#""pools":[{most}]"#), "{\"pk\"..")),
        r#"
        OWNER> event.add_pool {"event":"$E","name":"one more","capacity":1,"roles":["member"]} => invalid_argument
        OWNER> event.update_pool {"event":"$E","pool":"p1","name":"P2"} => conflict
        OWNER> event.update_pool {"event":"$E","pool":{"name":"P1"},"capacity":2} => {"pk"..
        OWNER> event.update_pool {"event":"$E","pool":"p1","name":"p1"} => {"pk"..
        OWNER> event.update_pool {"event":"$E","pool":"p99","capacity":1} => not_found
        OWNER> event.update_pool {"event":"$E","pool":"p1","roles":[]} => invalid_argument
        OWNER> event.remove_pool {"event":"$E","pool":"p0"} => {"pk"..
        OWNER> event.add_pool {"event":"$E","name":"p1","capacity":1,"roles":["member"]} => conflict
        OWNER> event.add_pool {"event":"$E","name":"one more","capacity":1,"roles":["member"]} => {"pk"..
        OWNER> event.update {"event":"$E","merge_time":"2027-01-20T00:00:00Z","clear":["merge_time"]} => invalid_argument
        OWNER> event.update {"event":"$E","clear":["title"]} => invalid_argument
        OWNER> event.update {"event":"$E","merge_time":"2027-01-01T00:00:00Z","registration_closes":"2028-01-01T00:00:00Z"} => {"pk"..
        event.get {"event":"Camp"} => not_found
        "#
        .to_owned(),
    ]
    .concat();
    check(&mut people(), &table);
}
