//! PKCS#12 (RFC 7292): a private key, its certificate and the authority's chain in one file, under a password.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use enroll_protocol::Invalid;
use p12_keystore::{
    Certificate, EncryptionAlgorithm, KeyStore, KeyStoreEntry, MacAlgorithm, PrivateKey, PrivateKeyChain,
};

use super::IdentityError;

/// How often a password is hashed.
const ITERATIONS: u32 = 100_000;

/// The same for systems that may refuse more.
const LEGACY_ITERATIONS: u32 = 2048;

/// The last character that a text in such a file can have.
const WIDEST: char = '\u{ffff}';

/// Refuses a password that such a file can not have.
pub fn expect_password(password: &str) -> Result<(), Invalid> {
    match password.chars().all(|c| c <= WIDEST) {
        true => Ok(()),
        false => {
            Err(Invalid::new("password: a PKCS#12 file can not have characters beyond U+FFFF in it, such as emoji"))
        }
    }
}

/// The file, in base64. `legacy` is triple DES and SHA-1, for systems that know nothing newer than that.
pub fn write(
    name: &str,
    private: &[u8],
    chain: &[Vec<u8>],
    password: &str,
    legacy: bool,
) -> Result<String, IdentityError> {
    // Its texts have characters of 16 bits; the name is for people, and what it can not have is left out.
    let name: String = name.chars().map(|c| if c > WIDEST { char::REPLACEMENT_CHARACTER } else { c }).collect();
    let failed = |err: p12_keystore::error::Error| IdentityError(format!("a PKCS#12 file can not be made: {err}"));
    let certificates =
        chain.iter().map(|der| Certificate::from_der(der)).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let key = PrivateKey::from_der(private).map_err(failed)?;
    let mut store = KeyStore::new();
    store.add_entry(&name, KeyStoreEntry::PrivateKeyChain(PrivateKeyChain::new("1", key, certificates)));
    let writer = store.writer(password);
    let writer = match legacy {
        false => writer
            .encryption_algorithm(EncryptionAlgorithm::PbeWithHmacSha256AndAes256)
            .encryption_iterations(ITERATIONS)
            .mac_algorithm(MacAlgorithm::HmacSha256)
            .mac_iterations(ITERATIONS),
        true => writer
            .encryption_algorithm(EncryptionAlgorithm::PbeWithShaAnd3KeyTripleDesCbc)
            .encryption_iterations(LEGACY_ITERATIONS)
            .mac_algorithm(MacAlgorithm::HmacSha1)
            .mac_iterations(LEGACY_ITERATIONS),
    };
    Ok(STANDARD.encode(writer.write().map_err(failed)?))
}
