//! Suggestions for a name that is not known: the known name that is most similar.

use enroll_protocol::plain_name;

/// Names that are less similar, by Jaro's measure, are no suggestion. clap has the same bound for arguments.
const SIMILAR_MIN: f64 = 0.7;

/// A longer name is no typing error of a key.
const NAME_BYTES_MAX: usize = 100;

/// The sentence about a key that is not there, from serde's message about it; `None` for another message.
pub(super) fn of_unknown_field(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("unknown field `")?;
    let (name, expected) = rest.rsplit_once("`, expected ")?;
    let known = expected.split('`').skip(1).step_by(2);
    Some(format!("there is no key \"{}\" here; {}", plain_name(name), way_out(nearest(name, known))))
}

/// The most similar one of these names, if one is similar.
pub(super) fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let compared = known.into_iter().map(|known| (strsim::jaro(name, known), known));
    let similar = compared.filter(|(similarity, _)| *similarity > SIMILAR_MIN);
    similar.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, known)| known)
}

/// The end of a sentence about an unknown name.
pub(super) fn way_out(nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("did you mean \"{nearest}\"?"),
        None => "enrolld --example-config lists the keys".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_is_told_the_name_that_was_meant() {
        for (message, expected) in [
            (
                "unknown field `sokcet`, expected one of `state_dir`, `socket`, `log`",
                Some("there is no key \"sokcet\" here; did you mean \"socket\"?"),
            ),
            (
                "unknown field `a`b\u{1b}`, expected `issuer` or `audience`",
                Some("there is no key \"[..]\" here; enrolld --example-config lists the keys"),
            ),
            ("invalid type: string \"x\", expected u64", None),
        ] {
            assert_eq!(of_unknown_field(message).as_deref(), expected, "{message}");
        }
        assert_eq!(nearest(&"socket".repeat(20), ["socket"]), None);
    }
}
