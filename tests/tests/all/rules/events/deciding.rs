//! Approval and rejection of registrations: supervisors, representatives, and permissions.

use super::people;
use crate::rules::check;

#[test]
fn a_supervisor_decides_and_whom_they_named_while_both_have_the_role() {
    check(
        &mut people(),
        r#"
        person.create {"callsign":"MOD","roles":["moderator"]} => {"pk"..
        person.create {"callsign":"SUP"} => {"pk"..
        person.create {"callsign":"REP"} => {"pk"..
        SUP> supervisor.assign {"person":"M1","supervisor":"SUP"} => permission_denied
        MOD> supervisor.assign {"person":"M1","supervisor":"SUP"} => conflict
        MOD> role.assign {"person":"SUP","role":"supervisor"} => true
        MOD> supervisor.assign {"person":"M1","supervisor":"M1"} => invalid_argument
        MOD> supervisor.assign {"person":"M1","supervisor":"SUP"} => {"pk"..
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"approval":"supervisor"} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"approval":"pending","decided_by":null..
        REP> registration.approve {"event":"$E","person":"M1"} => permission_denied
        SUP> supervisor.add_representative {"supervisor":"SUP","representative":"REP"} => conflict
        MOD> role.assign {"person":"REP","role":"supervisor"} => true
        REP> supervisor.add_representative {"supervisor":"SUP","representative":"REP"} => permission_denied
        SUP> supervisor.add_representative {"supervisor":"SUP","representative":"REP"} => true
        SUP> supervisor.add_representative {"supervisor":"SUP","representative":"REP"} => false
        REP> supervisor.pending {"supervisor":"REP"} => {"items":[{..,"approval":"pending"..
        REP> supervisor.pending {"supervisor":"SUP"} => permission_denied
        REP> registration.approve {"event":"$E","person":"M1"} => ..,"approval":"approved","decided_by":{"person":"..,"decided_on":"2027-..
        # A decision may be changed at any time.
        SUP> registration.reject {"event":"$E","person":"M1","reason":"needed here"} => ..,"pool":null,"waiting":false,..,"approval":"rejected"..,"reason":"needed here"..
        SUP> registration.approve {"event":"$E","person":"M1"} => ..,"approval":"approved",..,"reason":null..
        MOD> role.remove {"person":"SUP","role":"supervisor"} => true
        REP> registration.reject {"event":"$E","person":"M1"} => permission_denied
        SUP> registration.reject {"event":"$E","person":"M1"} => permission_denied
        MOD> role.assign {"person":"SUP","role":"supervisor"} => true
        MOD> role.remove {"person":"REP","role":"supervisor"} => true
        REP> registration.reject {"event":"$E","person":"M1"} => permission_denied
        OWNER> registration.reject {"event":"$E","person":"M1"} => permission_denied
        M1> registration.approve {"event":"$E","person":"M1"} => permission_denied
        SUP> registration.reject {"event":"$E","person":"M2"} => not_found
        BOSS> permission.grant {"role":"member","permission":"/registrations/approve/"} => true
        M2> registration.reject {"event":"$E","person":"M1"} => ..,"approval":"rejected"..
        MOD> role.assign {"person":"REP","role":"supervisor"} => true
        SUP> supervisor.remove_representative {"supervisor":"SUP","representative":"REP"} => true
        SUP> supervisor.remove_representative {"supervisor":"SUP","representative":"REP"} => false
        REP> registration.approve {"event":"$E","person":"M1"} => permission_denied
        MOD> supervisor.unassign {"person":"M1"} => ..,"supervisor":null..
        SUP> registration.approve {"event":"$E","person":"M1"} => permission_denied
        "#,
    );
}

#[test]
fn a_person_rejected_and_canceled_comes_back_only_when_that_is_taken_back() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"approval":"supervisor","pools":[{"name":"members","capacity":1,"roles":["member"]}]} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"approval":"pending"..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting":true..,"approval":"pending"..
        BOSS> registration.approve {"event":"$E","person":"M2"} => ..,"waiting":true..,"approval":"approved"..
        BOSS> registration.reject {"event":"$E","person":"M1"} => ..,"approval":"rejected"..
        M2> registration.get {"event":"$E","person":"M2"} => ..,"waiting":false..
        BOSS> registration.approve {"event":"$E","person":"M1"} => no_free_slots
        M1> registration.create {"event":"$E","person":"M1"} => already_registered
        M1> registration.cancel {"event":"$E","person":"M1"} => ..,"canceled":true..,"approval":"rejected"..
        M1> registration.create {"event":"$E","person":"M1"} => permission_denied
        M1> registration.explain {"event":"$E","person":"M1"} => {"outcome":"permission_denied"..
        BOSS> registration.approve {"event":"$E","person":"M1"} => ..,"pool":null,..,"canceled":true..,"approval":"approved"..
        BOSS> registration.reject {"event":"$E","person":"M1"} => invalid_transition
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting_position":1..,"approval":"pending","decided_by":null..
        OWNER> event.update {"event":"$E","approval":"none"} => {"pk"..
        M3> registration.create {"event":"$E","person":"M3"} => ..,"approval":"not_required"..
        BOSS> registration.reject {"event":"$E","person":"M3"} => invalid_transition
        OWNER> event.unpublish {"event":"$E"} => event_has_registrations
        "#,
    );
}

#[test]
fn fields_with_a_list_have_one_of_its_values() {
    check(
        &mut people(),
        r#"
        person.create {"callsign":"MOD","roles":["moderator"]} => {"pk"..
        person.create {"callsign":"FREE","extra":{"country":"atlantis"}} => {"pk"..
        M1> constant.set {"list":"country","value":"no"} => permission_denied
        MOD> constant.set {"list":"country","value":"no","label":"Norway"} => true
        MOD> constant.set {"list":"country","value":"no","label":"Noreg"} => false
        MOD> constant.set {"list":"countryside","value":"fjord"} => true
        constant.list {"list":"country"} => [{"list":"country","value":"no","label":"Noreg"}]
        person.create {"callsign":"C1","extra":{"country":"atlantis"}} => invalid_argument
        person.create {"callsign":"C1","extra":{"country":47}} => invalid_argument
        person.create {"callsign":"C1","extra":{"country":"no","town":"atlantis"}} => {"pk"..
        person.update {"person":"FREE","extra":{"country":"atlantis","town":"x"}} => {"pk"..
        person.update {"person":"FREE","extra":{"country":"lemuria"}} => invalid_argument
        person.update {"person":"FREE","extra":{"country":"no"}} => {"pk"..
        enrollment.create {"callsign":"C2","extra":{"country":"atlantis"}} => invalid_argument
        MOD> constant.remove {"list":"country","value":"NO"} => true
        MOD> constant.remove {"list":"country","value":"no"} => false
        person.create {"callsign":"C3","extra":{"country":"atlantis"}} => {"pk"..
        "#,
    );
}

#[test]
fn what_was_canceled_is_not_decided() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"approval":"supervisor"} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"approval":"pending"..
        M1> registration.cancel {"event":"$E","person":"M1"} => ..,"canceled":true..
        BOSS> registration.approve {"event":"$E","person":"M1"} => invalid_transition
        BOSS> registration.reject {"event":"$E","person":"M1"} => invalid_transition
        M1> registration.get {"event":"$E","person":"M1"} => ..,"canceled":true..,"approval":"pending","decided_by":null..
        "#,
    );
}

#[test]
fn who_is_approved_after_a_rejection_is_admitted_by_the_roles_of_that_moment() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"approval":"supervisor","pools":[{"name":"members","capacity":1,"roles":["member"]},{"name":"guests","capacity":1,"roles":["guest"]}]} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        BOSS> registration.reject {"event":"$E","person":"M1"} => ..,"pool":null..
        BOSS> role.assign {"person":"M1","role":"guest"} => true
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting":false..
        BOSS> registration.approve {"event":"$E","person":"M1"} => ..,"waiting":false..
        # M1 sits among the guests, and moves for one who may sit nowhere else.
        M2> registration.cancel {"event":"$E","person":"M2"} => ..,"canceled":true..
        G1> registration.create {"event":"$E","person":"G1"} => ..,"waiting":false..
        "#,
    );
}

#[test]
fn a_decision_is_the_last_change_of_its_registration() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"approval":"supervisor"} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"updated":"2027-01-15T08:00:00.000000Z","deleted":null}
        +60
        BOSS> registration.approve {"event":"$E","person":"M1"} => ..,"decided_on":"2027-01-15T08:01:00.000000Z",..,"updated":"2027-01-15T08:01:00.000000Z","deleted":null}
        "#,
    );
}

#[test]
fn a_new_supervisor_has_what_is_still_to_be_decided_and_nothing_else() {
    check(
        &mut people(),
        r#"
        person.create {"callsign":"SUP","roles":["supervisor"]} => {"pk"..
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"approval":"supervisor"} => {"pk"..
        $F = OWNER> event.create {"title":"Walk","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true} => {"pk"..
        $G = OWNER> event.create {"title":"Swim","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"approval":"supervisor"} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"approval":"pending"..
        M1> registration.create {"event":"$F","person":"M1"} => ..,"approval":"not_required"..
        M1> registration.create {"event":"$G","person":"M1"} => ..,"approval":"pending"..
        M1> registration.cancel {"event":"$G","person":"M1"} => ..,"canceled":true..
        BOSS> supervisor.assign {"person":"M1","supervisor":"SUP"} => {"pk"..
        BOSS> registration.approve {"event":"$E","person":"M1"} => ..,"approval":"approved"..
        SUP> supervisor.pending {"supervisor":"SUP"} => {"items":[],"next":null}
        "#,
    );
}

#[test]
fn the_feed_says_that_a_deleted_person_left_and_who_came_after() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"max_participants":1} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting":true..
        BOSS> person.delete {"person":"M1"} => {"pk"..
        BOSS> changes.list {"since":12} => {"items":[{"seq":13,..,"verb":"delete"..{"seq":14,..,"verb":"left"..,"cause":13..{"seq":15,..,"verb":"seated"..,"cause":13..
        "#,
    );
}

#[test]
fn what_was_due_at_an_event_is_told_before_a_deletion_or_a_change_of_roles() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"pools":[{"name":"members","capacity":1,"roles":["member"]},{"name":"late","capacity":1,"roles":["member"],"opens":"2027-01-15T08:05:00Z"}]} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting":true..
        M3> registration.create {"event":"$E","person":"M3"} => ..,"waiting":true..
        +600
        BOSS> person.delete {"person":"M1"} => {"pk"..
        BOSS> changes.list {"since":13} => {"items":[{"seq":14,..,"verb":"opened"..{"seq":15,..,"verb":"seated"..,"cause":14..{"seq":16,..,"verb":"delete"..{"seq":17,..,"verb":"left"..,"cause":16..{"seq":18,..,"verb":"seated"..,"cause":16..
        $F = OWNER> event.create {"title":"Walk","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"pools":[{"name":"members","capacity":1,"roles":["member"]},{"name":"late","capacity":1,"roles":["guest"],"opens":"2027-01-15T08:15:00Z"}]} => {"pk"..
        M2> registration.create {"event":"$F","person":"M2"} => ..,"waiting":false..
        M3> registration.create {"event":"$F","person":"M3"} => ..,"waiting":true..
        B1> registration.create {"event":"$F","person":"B1"} => ..,"waiting":true..
        +600
        BOSS> role.assign {"person":"M3","role":"guest"} => true
        BOSS> changes.list {"since":22} => {"items":[{"seq":23,..,"verb":"opened"..{"seq":24,..,"verb":"seated"..,"cause":23..{"seq":25,..,"verb":"assign"..
        BOSS> role.assign {"person":"M3","role":"guest"} => false
        BOSS> role.remove {"person":"M3","role":"guest"} => true
        BOSS> changes.list {"since":25} => {"items":[{"seq":26,..,"verb":"remove"..
        "#,
    );
}
