//! Holes in transcripts: what every run draws anew (primary keys, times, codes, JWTs, keys) is written as a word in angle
//! brackets, so that the rest can be compared and printed in a book.

/// The last year of times that a run draws; later ones are written by the page itself.
const LAST_YEAR: &str = "2100";

/// Digits of a time in a JWT.
const UNIX_SECONDS_DIGITS: usize = 10;

/// Characters of a login code and of an invite or approve code.
const CODE_LENGTHS: [usize; 2] = [12, 8];

/// From this length on a word of base64 is a key, a seal or a signature.
const KEY_CHARS_MIN: usize = 40;

/// From this length on a word of hexadecimal digits is a serial number or a hash.
const HASH_CHARS_MIN: usize = 16;

/// A text with holes; words that are known to the page, such as an invite code that it types, stay.
pub fn with_holes(text: &str, known: &str) -> String {
    let (mut out, mut is_in_pem) = (String::new(), false);
    for line in text.split_inclusive('\n') {
        let is_end = line.starts_with("-----END ");
        if is_in_pem && !is_end {
            continue;
        }
        is_in_pem = line.starts_with("-----BEGIN ") && !line.contains("-----END ");
        out.push_str(&in_line(&without_body(line), known));
        if is_in_pem {
            out.push_str("...\n");
        }
    }
    out
}

/// A line without the body of a PEM text that stands on it with its line ends escaped.
fn without_body(line: &str) -> String {
    let parts = line.split_once("-----BEGIN ").and_then(|(_, rest)| rest.split_once("-----"));
    match parts.and_then(|(_, rest)| rest.split_once("-----END ")) {
        Some((body, _)) if !body.is_empty() => line.replacen(body, "...", 1),
        _ => line.to_owned(),
    }
}

fn in_line(line: &str, known: &str) -> String {
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || "-_.:+/=".contains(c);
    let (mut out, mut rest) = (String::new(), line);
    while let Some(start) = rest.find(is_of_word) {
        let end = rest[start..].find(|c| !is_of_word(c)).map_or(rest.len(), |length| start + length);
        out.push_str(&rest[..start]);
        out.push_str(&in_word(&rest[start..end], known));
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// A word, or its parts between the signs that may also join two words.
fn in_word(word: &str, known: &str) -> String {
    if let Some(hole) = hole_of(word, known) {
        return hole.to_owned();
    }
    for sign in ['.', ':', '=', '/', '+', '-'] {
        if let Some((first, rest)) = word.split_once(sign) {
            return format!("{}{sign}{}", in_word(first, known), in_word(rest, known));
        }
    }
    word.to_owned()
}

fn hole_of(word: &str, known: &str) -> Option<&'static str> {
    let is_code = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || "+/=-_".contains(c);
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c.to_ascii_lowercase()) || c == ':';
    let has_digit = word.contains(|c: char| c.is_ascii_digit());
    // One key in a thousand has no digit.
    let has_cases = word.contains(|c: char| c.is_ascii_uppercase()) && word.contains(|c: char| c.is_ascii_lowercase());
    if is_time(word) {
        return (word < LAST_YEAR).then_some("<time>");
    }
    if word.len() == UNIX_SECONDS_DIGITS && word.chars().all(|c| c.is_ascii_digit()) {
        return Some("<seconds>");
    }
    if known.contains(word) {
        return None;
    }
    if is_uuid(word) {
        Some("<pk>")
    } else if word.starts_with("eyJ") && word.split('.').count() == 3 {
        Some("<jwt>")
    } else if CODE_LENGTHS.contains(&word.len()) && word.chars().all(is_code) && !word.ends_with("0000") {
        Some("<code>")
    } else if word.len() >= HASH_CHARS_MIN && has_digit && word.chars().all(is_hex) {
        Some("<hex>")
    } else if word.len() >= KEY_CHARS_MIN && (has_digit || has_cases) && word.chars().all(is_base64) {
        Some("<base64>")
    } else {
        None
    }
}

/// A time as the command line prints it, to the second or finer, in UTC.
fn is_time(word: &str) -> bool {
    let has_form = |(index, c): (usize, char)| match index {
        4 | 7 => c == '-',
        10 => c == 'T',
        13 | 16 => c == ':',
        _ => c.is_ascii_digit() || (index >= 19 && ".Z".contains(c)),
    };
    word.len() >= 20 && word.ends_with('Z') && word.chars().enumerate().all(has_form)
}

fn is_uuid(word: &str) -> bool {
    let has_form = |(index, c): (usize, char)| match index {
        8 | 13 | 18 | 23 => c == '-',
        _ => c.is_ascii_hexdigit(),
    };
    word.len() == 36 && word.chars().enumerate().all(has_form)
}

#[cfg(test)]
mod tests {
    use super::with_holes;

    #[test]
    fn what_a_run_draws_is_a_hole_and_all_else_stays() {
        for (text, expected) in [
            ("pk\t01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b\n", "pk\t<pk>\n"),
            ("{\"pk\":\"01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b\"}", "{\"pk\":\"<pk>\"}"),
            ("2026-11-29T02:50:42.123456Z and 2999-07-01T20:00:00Z", "<time> and 2999-07-01T20:00:00Z"),
            ("invitecode\tK7QWM2XA", "invitecode\t<code>"),
            ("DOGGO01a", "DOGGO01a"),
            ("MODERATOR", "MODERATOR"),
            ("TYPED123", "TYPED123"),
            ("jwt\teyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJET0dHTzAxYSJ9.c2ln", "jwt\t<jwt>"),
            ("-----BEGIN X-----\nMIIB\nAAAA\n-----END X-----\n", "-----BEGIN X-----\n...\n-----END X-----\n"),
            ("serial 4f00aa3be1c29d7705aa", "serial <hex>"),
            ("VC_kgNpREiWoPmFlBCwyOaOAdpTQABiMJILQa_wehbU", "<base64>"),
            ("iat\t1795920906", "iat\t<seconds>"),
            ("nonce-4711", "nonce-4711"),
        ] {
            assert_eq!(with_holes(text, "TYPED123"), expected);
        }
    }
}
