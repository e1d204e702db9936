//! Keys, from the bytes that a terminal in raw mode sends.

/// A key. Control characters are characters, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// A character.
    Char(char),
    /// Escape alone.
    Escape,
    /// Tab with shift.
    BackTab,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
}

/// Reads keys from bytes. A terminal sends a sequence in one piece, so one that was read in part is taken for its first
/// keys; the bytes of a character are kept until it is whole.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    rest: Vec<u8>,
}

impl Keys {
    /// The keys of the next bytes. Sequences of other keys are none.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Vec<Key> {
        self.rest.extend_from_slice(bytes);
        let bytes = std::mem::take(&mut self.rest);
        let text = match str::from_utf8(&bytes) {
            Ok(text) => text.to_owned(),
            Err(err) if err.error_len().is_none() => {
                let (whole, part) = bytes.split_at(err.valid_up_to());
                self.rest = part.to_vec();
                String::from_utf8_lossy(whole).into_owned()
            }
            Err(_) => String::from_utf8_lossy(&bytes).into_owned(),
        };
        let (mut keys, mut left) = (Vec::new(), text.as_str());
        while let Some(first) = left.chars().next() {
            left = &left[first.len_utf8()..];
            if first != '\u{1b}' {
                keys.push(Key::Char(first));
                continue;
            }
            match left.strip_prefix(['[', 'O']) {
                None => keys.push(Key::Escape),
                Some(sequence) => {
                    let end = sequence.find(|c| ('@'..='~').contains(&c)).map_or(sequence.len(), |at| at + 1);
                    let (name, after) = sequence.split_at(end);
                    keys.extend(named(name));
                    left = after;
                }
            }
        }
        keys
    }
}

/// The key of a sequence.
fn named(sequence: &str) -> Option<Key> {
    match sequence {
        "A" => Some(Key::Up),
        "B" => Some(Key::Down),
        "C" => Some(Key::Right),
        "D" => Some(Key::Left),
        "Z" => Some(Key::BackTab),
        "5~" => Some(Key::PageUp),
        "6~" => Some(Key::PageDown),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_keys_and_unknown_ones_are_none() {
        for (bytes, expected) in [
            (&b"q"[..], vec![Key::Char('q')]),
            (b"\x1b", vec![Key::Escape]),
            (b"\x1b[A\x1bOB\x1b[6~", vec![Key::Up, Key::Down, Key::PageDown]),
            (b"\x1b[1;5Cx\x1b[15~\x1b[<0;1;1M", vec![Key::Char('x')]),
            (b"\x03\xff", vec![Key::Char('\u{3}'), Key::Char('\u{fffd}')]),
        ] {
            assert_eq!(Keys::default().read(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_character_that_comes_in_pieces_is_one() {
        let mut keys = Keys::default();
        let [first, second] = ["\u{e9}".as_bytes()[0], "\u{e9}".as_bytes()[1]];
        assert_eq!(keys.read(&[first]), []);
        assert_eq!(keys.read(&[second, b'a']), [Key::Char('\u{e9}'), Key::Char('a')]);
    }
}
