//! Phrases of changes: what happened, in words, with the names of the records it happened to.

use enroll_client::protocol::changes::Change;

/// A phrase for each operation and consequence. `{0}` is the first record of a change, `{1}` the second; a part in brackets
/// stands only where its record is there.
const PHRASES: &[(&str, &str)] = &[
    ("person.create", "{0} was made a person"),
    ("person.update", "{0} was changed"),
    ("person.delete", "{0} was deleted"),
    ("person.revoke", "{0} was revoked"),
    ("person.restore", "{0} was restored"),
    ("person.erase", "the data of {0} was erased"),
    ("role.assign", "{0} was given a role"),
    ("role.remove", "a role was taken from {0}"),
    ("permission.grant", "a role was given a permission"),
    ("permission.revoke", "a permission was taken from a role"),
    ("token.use", "the token {0} was used"),
    ("token.delete", "a token was to be deleted"),
    ("code.create", "the login code {0} was made"),
    ("code.use", "the login code {0} was exchanged for a JWT"),
    ("code.delete", "a login code was to be deleted"),
    ("code.alarm", "wrong codes came from many sources: somebody tries them"),
    ("code.uid_alarm", "one user sent too many wrong codes"),
    ("jwt.refresh", "a JWT was refreshed"),
    ("jwt.rotate", "a new key signs JWTs"),
    ("jwt.exchange", "another issuer's JWT was exchanged"),
    ("server.import", "an export was imported"),
    ("server.accept_clock", "the clock was accepted"),
    ("server.clock", "the clock was set by more than a few seconds"),
    ("server.refusals", "refused calls of one user leave no more records for a while"),
    ("pool.create", "the pool {0} was made"),
    ("pool.update", "the pool {0} was changed"),
    ("pool.set_active", "the pool {0} was opened or closed"),
    ("pool.reset_code", "the pool {0} got a new code"),
    ("pool.delete", "the pool {0} was deleted"),
    ("enrollment.create", "{0} enrolled[ by the pool {1}]"),
    ("enrollment.approve", "{0} was approved[ and became {1}]"),
    ("enrollment.reject", "{0} was rejected"),
    ("enrollment.reset_code", "{0} got a new approve code"),
    ("enrollment.delete", "an enrollment was to be deleted"),
    ("enrollment.reopen", "{0} waits for a decision again"),
    ("enrollment.update", "{0} was changed"),
    ("event.create", "{0} was made"),
    ("event.update", "{0} was changed"),
    ("event.publish", "{0} was published"),
    ("event.unpublish", "{0} was taken back from the public"),
    ("event.cancel", "{0} was canceled"),
    ("event.add_pool", "{0} got another pool"),
    ("event.update_pool", "a pool of {0} was changed"),
    ("event.remove_pool", "a pool of {0} was removed"),
    ("event.opened", "[the pool {1} of ]{0} opened"),
    ("event.merged", "the places of the pools of {0} became one"),
    ("registration.create", "{1} registered for {0}[ and got a place in {2}]"),
    ("registration.cancel", "{1} canceled for {0}[ and gave up a place in {2}]"),
    ("registration.approve", "{1} was approved for {0}[ and got a place in {2}]"),
    ("registration.reject", "{1} was rejected for {0}[ and lost a place in {2}]"),
    ("registration.place", "{1} was placed by hand at {0}[ in {2}]"),
    ("registration.seated", "{1} moved up from the waiting list of {0}[ into {2}]"),
    ("registration.moved", "{1} was moved[ to {2}] to make room at {0}"),
    ("registration.positioned", "{1} was put into the waiting list of {0}[, in front of {2}]"),
    ("registration.left", "{1}, being deleted, left {0}[ and gave up a place in {2}]"),
    ("supervisor.assign", "{0} got a supervisor"),
    ("supervisor.unassign", "{0} has no supervisor any more"),
    ("supervisor.add_representative", "{1} represents {0}"),
    ("supervisor.remove_representative", "{1} no longer represents {0}"),
    ("constant.set", "an allowed value was set"),
    ("constant.remove", "an allowed value was removed"),
    ("certificate.renew", "the certificate of {0} was renewed"),
    ("certificate.revoke", "certificates[ of {0}] were revoked"),
    ("certificate.issue", "a certificate was issued[ to {0}]"),
    ("certificate.listed", "the list of revoked certificates was renewed"),
    ("course.create", "the course {0} was made"),
    ("course.delete", "the course {0} was deleted"),
    ("course.enroll", "{1} was enrolled in the course {0}"),
    ("course.unenroll", "{1} was unenrolled from the course {0}"),
    ("course.enrolled", "{1} was enrolled in the course {0} by a program"),
    ("course.converted", "the enrollment of {1} in the course {0} became one of a program"),
    ("course.mode_kept", "the enrollment of {1} in the course {0} stayed in its mode"),
    ("course.moved_to_audit", "the enrollment of {1} in the course {0} was moved to audit"),
    ("course.activated", "the enrollment of {1} in the course {0} became active again"),
    ("course.deactivated", "the enrollment of {1} in the course {0} became inactive"),
    ("course.role_given", "{1} was given a role in the course {0}"),
    ("course.role_taken", "a role in the course {0} was taken from {1}"),
    ("course.role_failed", "a role in the course {0} could not be given[ to {1}]"),
    ("program.enroll", "[{0} was enrolled in a program]"),
    ("program.enroll_course", "[{0} was enrolled in a course of a program]"),
    ("program.assign_course_role", "[{0} was given a role in a course of a program]"),
    ("program.link", "[{0} was linked][ to {1}]"),
    ("program.unlink", "[{0} was unlinked][ from {1}]"),
    ("program.linked", "[{0} was linked][ to {1}] by another operation"),
    ("program.unlinked", "[{0} was unlinked][ from {1}], to be linked to somebody else"),
    ("transaction.run", "several writes were done as one"),
];

/// The phrase of a change. `names` are those of its records.
pub(super) fn of(change: &Change, names: &[String]) -> String {
    let name = format!("{}.{}", change.area, change.verb);
    let template = PHRASES.iter().find(|(of, _)| *of == name).map(|(_, phrase)| filled(phrase, names));
    // A newer daemon may tell of what this version has no words for.
    let happened = template.filter(|phrase| !phrase.is_empty()).unwrap_or_else(|| match names {
        [] => name.clone(),
        names => format!("{name} {}", names.join(", ")),
    });
    match &change.refused {
        None => happened,
        Some(code) => {
            format!("refused ({code}): {name}{}", names.first().map(|of| format!(" {of}")).unwrap_or_default())
        }
    }
}

fn filled(phrase: &str, names: &[String]) -> String {
    let mut out = String::new();
    for (at, part) in phrase.split(['[', ']']).enumerate() {
        let is_optional = at % 2 == 1;
        match (numbers_named(part).all(|number| number < names.len()), is_optional) {
            (true, _) => out.push_str(&with_names(part, names)),
            (false, true) => {}
            // Without a record that it needs, a phrase says nothing.
            (false, false) => return String::new(),
        }
    }
    out.trim_start().to_owned()
}

/// The numbers of the records that a part names.
fn numbers_named(part: &str) -> impl Iterator<Item = usize> {
    part.split('{').skip(1).filter_map(|rest| rest.split('}').next()?.parse().ok())
}

fn with_names(part: &str, names: &[String]) -> String {
    let mut pieces = part.split('{');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (number, rest) = piece.split_once('}').unwrap_or((piece, ""));
        out.push_str(number.parse().ok().and_then(|number: usize| names.get(number)).map_or("", String::as_str));
        out.push_str(rest);
    }
    out
}

#[cfg(test)]
mod tests {
    use enroll_client::protocol::changes::{CONSEQUENCES, PeerId};
    use enroll_client::protocol::operations::TABLE;
    use enroll_client::protocol::{Code, Kind};

    use super::*;

    fn change(name: &str) -> Change {
        let (area, verb) = name.split_once('.').expect("area.verb");
        Change {
            seq: 1,
            at: "2026-01-31T18:00:00.000000Z".parse().expect("a time"),
            area: area.to_owned(),
            verb: verb.to_owned(),
            subjects: Vec::new(),
            actor: None,
            peer: PeerId { uid: 0, pid: 0, member: None },
            origin: None,
            cause: None,
            refused: None,
        }
    }

    fn told(name: &str, names: &[&str]) -> String {
        of(&change(name), &names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn every_write_and_every_consequence_has_a_phrase_and_no_other() {
        let writes = TABLE.iter().filter(|row| matches!(row.kind, Kind::Write | Kind::Bulk)).map(|row| row.name);
        let all: Vec<_> = writes.chain(CONSEQUENCES.iter().map(|(_, name)| *name)).collect();
        for name in &all {
            assert_eq!(PHRASES.iter().filter(|(of, _)| of == name).count(), 1, "{name}");
        }
        for (name, phrase) in PHRASES {
            assert!(all.contains(name), "{name} is no change");
            assert_eq!(phrase.matches('[').count(), phrase.matches(']').count(), "{phrase}");
        }
    }

    #[test]
    fn a_part_whose_record_is_missing_is_left_out() {
        assert_eq!(
            told("registration.create", &["Camp", "DOG", "members"]),
            "DOG registered for Camp and got a place in members"
        );
        assert_eq!(told("registration.create", &["Camp", "DOG"]), "DOG registered for Camp");
        assert_eq!(told("event.opened", &["Camp"]), "Camp opened");
        assert_eq!(told("event.opened", &["Camp", "guests"]), "the pool guests of Camp opened");
        assert_eq!(told("program.link", &["key", "DOG"]), "key was linked to DOG");
    }

    #[test]
    fn what_has_no_phrase_or_lacks_its_records_is_named() {
        assert_eq!(told("comet.seen", &["Camp", "DOG"]), "comet.seen Camp, DOG");
        assert_eq!(told("person.create", &[]), "person.create");
        assert_eq!(told("program.link", &[]), "program.link");
    }

    #[test]
    fn a_refused_attempt_says_so_first() {
        let mut refused = change("token.use");
        refused.refused = Some(Code::TOKEN_REUSE);
        assert_eq!(of(&refused, &["nonce".to_owned()]), "refused (token_reuse): token.use nonce");
    }

    #[test]
    fn a_name_with_braces_stays_as_it_is() {
        assert_eq!(told("person.delete", &["{1}"]), "{1} was deleted");
    }
}
