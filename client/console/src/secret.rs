//! Secrets of a run: random texts that nobody guesses.

use std::fmt;

use rand::TryRng as _;
use rand::rngs::SysRng;

/// A random text of 128 bits, in hexadecimal. Its `Debug` prints nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// A new one, from the operating system.
    pub(crate) fn draw() -> Self {
        Self(hexadecimal(&random::<16>()))
    }

    /// The text.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// True for the same text. The time that this takes tells nothing of where another one differs.
    pub(crate) fn is(&self, text: &str) -> bool {
        let differences = self.0.bytes().zip(text.bytes()).fold(0, |all, (own, other)| all | (own ^ other));
        self.0.len() == text.len() && differences == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// A random name of 64 bits, which is no secret.
pub(crate) fn name() -> String {
    hexadecimal(&random::<8>())
}

/// Random bytes of the operating system.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_itself_and_no_other_text() {
        let secret = Secret::draw();
        assert_eq!(secret.text().len(), 32);
        assert!(secret.is(secret.text()) && !secret.is("") && !secret.is(&secret.text()[..31]));
        assert!(!secret.is(Secret::draw().text()) && !format!("{secret:?}").contains(secret.text()));
    }
}
