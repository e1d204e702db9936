//! Signing requests (PKCS#10, RFC 2986): who somebody says to be, with which public key, signed by its private key.
//!
//! Nothing else of a request matters: what a certificate says beside the name and the key is for the authority to say.

use der::asn1::ObjectIdentifier;
use der::{Decode as _, Encode as _, Tag, Tagged as _};
use enroll_protocol::limits::PEM_BYTES_MAX;
use x509_cert::name::Name;
use x509_cert::request::CertReqInfo;
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use super::encoding::Parts;
use super::{pem, signer};

pub(super) const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// The words that requests bear in PEM, now and formerly.
const LABELS: [&str; 2] = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];

/// A request that was signed with the key it is for, and that key is strong enough.
pub struct SigningRequest {
    /// The common name, if it has exactly one.
    pub common_name: Option<String>,
    pub(super) public: SubjectPublicKeyInfoOwned,
}

impl SigningRequest {
    /// Reads one, and says for people why it can not be used.
    pub fn read(text: &str) -> Result<Self, String> {
        if text.len() > PEM_BYTES_MAX {
            return Err(format!("it has {} bytes; {PEM_BYTES_MAX} will do for any key", text.len()));
        }
        let blocks = pem::read(text).map_err(|err| err.0)?;
        let [block] = blocks.as_slice() else { return Err("it must be one PEM block CERTIFICATE REQUEST".to_owned()) };
        if !LABELS.contains(&block.label.as_str()) {
            return Err(format!("it is a PEM block {}, and must be a CERTIFICATE REQUEST", block.label));
        }
        let unreadable = |_| "it can not be read".to_owned();
        let signed = Parts::from_der(&block.der).map_err(unreadable)?;
        let bytes = signed.unsigned.to_der().map_err(unreadable)?;
        let info = CertReqInfo::from_der(&bytes).map_err(unreadable)?;
        signer::expect_strong(&info.public_key)?;
        if !signer::is_signed_by(&info.public_key, &signed.algorithm, &bytes, &signed.signature) {
            return Err("its signature is wrong, or of a kind other than SHA-2 with the key's own".to_owned());
        }
        Ok(Self { common_name: common_name(&info.subject)?, public: info.public_key })
    }
}

/// The common name of a subject that has one, exactly as it stands there, in whichever type of string.
pub(super) fn common_name(subject: &Name) -> Result<Option<String>, String> {
    let mut names = subject.iter().filter(|attribute| attribute.oid == COMMON_NAME);
    let (Some(name), None) = (names.next(), names.next()) else { return Ok(None) };
    let (tag, bytes) = (name.value.tag(), name.value.value());
    let units = || bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let text = match tag {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::VisibleString | Tag::NumericString => {
            String::from_utf8(bytes.to_vec()).ok()
        }
        // Everybody writes Latin-1 into it.
        Tag::TeletexString => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
        Tag::BmpString if bytes.len() % 2 == 0 => char::decode_utf16(units()).collect::<Result<_, _>>().ok(),
        _ => return Err(format!("its CN is a {tag}; use a UTF8String")),
    };
    text.map(Some).ok_or_else(|| format!("its CN is a {tag} that can not be read"))
}
