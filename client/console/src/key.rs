//! The hidden fields of a form, and the idempotency keys of the writes that it asks for.

use enroll_protocol::{Key, Pk};

use crate::{secret, when};

/// The hidden field with the session's token.
pub(crate) const TOKEN: &str = "token";

/// The hidden field with the idempotency key of the write.
pub(crate) const KEY: &str = "key";

/// The hidden field with the address to come back to.
pub(crate) const BACK: &str = "back";

/// The parameter of an address that names the form whose outcomes its page shows.
pub(crate) const OUTCOME: &str = "outcome";

/// A new idempotency key.
pub(crate) fn new_key() -> Key {
    Key(Pk::v7(when::now().micros(), secret::random()))
}

/// The key of one of several writes of a form: the same for the same form and record, and of no other.
pub(crate) fn unit_key(form: Key, record: Pk) -> Key {
    let (mut bytes, record) = (*form.0.as_bytes(), record.as_bytes());
    for (byte, other) in bytes.iter_mut().zip(record).skip(9) {
        *byte ^= other;
    }
    // The eighth byte begins with the variant of a UUID.
    bytes[8] ^= record[8] & 0x3f;
    Key(Pk::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_a_form_have_keys_of_their_own() {
        let form = new_key();
        let (one, other) = (new_key().0, new_key().0);
        assert_eq!(unit_key(form, one), unit_key(form, one));
        assert_ne!(unit_key(form, one), unit_key(form, other));
        assert_ne!(unit_key(form, one), unit_key(new_key(), one));
    }
}
