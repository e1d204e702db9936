//! Addresses below the base path: of records, and of pages with their filters.

use std::fmt::Write as _;

use enroll_protocol::Pk;

/// The address of a person's page.
pub(crate) fn person(pk: Pk) -> String {
    format!("/people/{pk}")
}

/// The address of an invite pool's page.
pub(crate) fn pool(pk: Pk) -> String {
    format!("/pools/{pk}")
}

/// The address of an event's page.
pub(crate) fn event(pk: Pk) -> String {
    format!("/events/{pk}")
}

/// The address of an enrollment's page.
pub(crate) fn enrollment(pk: Pk) -> String {
    format!("/enrollments/{pk}")
}

/// The address of a change in the feed.
pub(crate) fn change(seq: u64) -> String {
    format!("/feed/{seq}")
}

/// The address of the changes of one record.
pub(crate) fn changes_of(record: Pk) -> String {
    with_query("/feed", &[("record", &record.to_string())])
}

/// An address with a query of those parameters that are not empty.
pub(crate) fn with_query(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut address = path.to_owned();
    for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
        let sign = if address.contains('?') { '&' } else { '?' };
        let _ = write!(address, "{sign}{name}={}", encoded(value));
    }
    address
}

/// An address without this parameter.
pub(crate) fn without(address: &str, name: &str) -> String {
    let Some((path, query)) = address.split_once('?') else { return address.to_owned() };
    let kept = query.split('&').filter(|pair| pair.split('=').next() != Some(name)).collect::<Vec<_>>().join("&");
    if kept.is_empty() { path.to_owned() } else { format!("{path}?{kept}") }
}

/// Percent-encodes everything but unreserved characters (RFC 3986).
pub(crate) fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => all.push(char::from(byte)),
            _ => {
                let _ = write!(all, "%{byte:02X}");
            }
        }
        all
    })
}

/// The address that a form named to come back to, or the first page if it is none of this console's.
pub(crate) fn local(address: &str) -> &str {
    let is_local = address.starts_with('/')
        && !address.starts_with("//")
        && address.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_local { address } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_encoded_and_parameters_can_be_taken_out() {
        let address = with_query("/feed", &[("area", "pool"), ("person", ""), ("actor", "A&B ü")]);
        assert_eq!(address, "/feed?area=pool&actor=A%26B%20%C3%BC");
        assert_eq!(without(&address, "area"), "/feed?actor=A%26B%20%C3%BC");
        assert_eq!(without("/feed?area=pool", "area"), "/feed");
    }

    #[test]
    fn no_form_leads_to_another_host() {
        for (given, expected) in [
            ("/enrollments?state=pending", "/enrollments?state=pending"),
            ("//example.org/", "/"),
            ("/\\example.org", "/"),
            ("https://example.org", "/"),
            ("/a\r\nSet-Cookie: x", "/"),
            ("", "/"),
        ] {
            assert_eq!(local(given), expected);
        }
    }
}
