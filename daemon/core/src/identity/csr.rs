//! Certificate signing requests (CSR, PKCS#10, RFC 2986): a name and a public key, signed by its private key.
//!
//! All else in a request is ignored: the authority decides on the extensions of a certificate.

use der::asn1::ObjectIdentifier;
use der::{Decode as _, Encode as _, Header, Length, Reader as _, SliceReader, Tag};
use enroll_protocol::limits::PEM_BYTES_MAX;
use x509_cert::request::Version;
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use super::der::Parts;
use super::{pem, signer};

pub(super) const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// The PEM labels of requests, the current and an old one.
const LABELS: [&str; 2] = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];

const UTF8: &str = "UTF8String";

/// String types of ASN.1, by their tags.
const STRINGS: [(u8, &str); 11] = [
    (12, UTF8),
    (18, "NumericString"),
    (19, "PrintableString"),
    (20, "TeletexString"),
    (21, "VideotexString"),
    (22, "IA5String"),
    (25, "GraphicString"),
    (26, "VisibleString"),
    (27, "GeneralString"),
    (28, "UniversalString"),
    (30, "BMPString"),
];

/// A request, signed with its own key, which is strong enough.
pub struct SigningRequest {
    /// The common name, if it has exactly one.
    pub common_name: Option<String>,
    pub(super) public: SubjectPublicKeyInfoOwned,
}

impl SigningRequest {
    /// Reads a request; an error is a sentence for people.
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
        let (subject, public) = said(&bytes).map_err(unreadable)?;
        signer::require_strong(&public)?;
        if !signer::is_signed_by(&public, &signed.algorithm, &bytes, &signed.signature) {
            return Err("its signature is wrong, or of a kind other than SHA-2 with the key's own".to_owned());
        }
        let mut names = common_names(subject).map_err(unreadable)?;
        let common_name = match (names.pop(), names.pop()) {
            (Some((tag, bytes)), None) => Some(text_of(tag, bytes)?),
            _ => None,
        };
        Ok(Self { common_name, public })
    }
}

/// The subject of a request, still encoded, and its key.
fn said(info: &[u8]) -> der::Result<(&[u8], SubjectPublicKeyInfoOwned)> {
    let mut reader = SliceReader::new(info)?;
    let said = reader.sequence(|info| {
        Version::decode(info)?;
        let said = (info.tlv_bytes()?, SubjectPublicKeyInfoOwned::decode(info)?);
        // Attributes request extensions, which are ignored.
        info.read_slice(info.remaining_len())?;
        Ok::<_, der::Error>(said)
    })?;
    reader.finish()?;
    Ok(said)
}

/// The common names of a subject: the tag of each, and its bytes. The library has no name for some of the tags, so it
/// does not read a subject with one.
fn common_names(subject: &[u8]) -> der::Result<Vec<(u8, &[u8])>> {
    let mut names = Vec::new();
    let mut reader = SliceReader::new(subject)?;
    reader.sequence(|relative| {
        while !relative.is_finished() {
            let header = Header::decode(relative)?;
            header.tag().assert_eq(Tag::Set)?;
            let mut attributes = SliceReader::new(relative.read_slice(header.length())?)?;
            while !attributes.is_finished() {
                attributes.sequence(|attribute| {
                    let (oid, tag) = (ObjectIdentifier::decode(attribute)?, attribute.read_byte()?);
                    let length = Length::decode(attribute)?;
                    let value = attribute.read_slice(length)?;
                    if oid == COMMON_NAME {
                        names.push((tag, value));
                    }
                    Ok::<_, der::Error>(())
                })?;
            }
        }
        Ok::<_, der::Error>(())
    })?;
    reader.finish()?;
    Ok(names)
}

/// Decodes a text of any ASN.1 string type, without normalising it.
fn text_of(tag: u8, bytes: &[u8]) -> Result<String, String> {
    let name = STRINGS.iter().find(|(of, _)| *of == tag).map_or("value of another type", |(_, name)| name);
    let text = match name {
        UTF8 | "PrintableString" | "IA5String" | "VisibleString" | "NumericString" => {
            String::from_utf8(bytes.to_vec()).ok()
        }
        // In practice a TeletexString is Latin-1.
        "TeletexString" => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
        "BMPString" => units::<2>(bytes).and_then(|units| {
            char::decode_utf16(units.iter().map(|unit| u16::from_be_bytes(*unit))).collect::<Result<_, _>>().ok()
        }),
        "UniversalString" => units::<4>(bytes)
            .and_then(|units| units.iter().map(|unit| char::from_u32(u32::from_be_bytes(*unit))).collect()),
        _ => return Err(format!("its CN is a {name}; use a {UTF8}")),
    };
    text.ok_or_else(|| format!("its CN is a {name} that can not be read; use a {UTF8}"))
}

/// Splits bytes into units of N; none if they do not divide evenly.
fn units<const N: usize>(bytes: &[u8]) -> Option<&[[u8; N]]> {
    let (units, rest) = bytes.as_chunks();
    rest.is_empty().then_some(units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_whatever_its_type_or_the_type_is_named() {
        for (tag, bytes, expected) in [
            (12, "Ελένη".as_bytes(), Ok("Ελένη")),
            (12, b"\xff", Err("UTF8String")),
            (18, b"0101", Ok("0101")),
            (19, b"DOGGO01a", Ok("DOGGO01a")),
            (20, b"Zo\xeb", Ok("Zoë")),
            (22, b"dog@example.org", Ok("dog@example.org")),
            (26, b"DOGGO01a", Ok("DOGGO01a")),
            (27, b"DOGGO01a", Err("GeneralString")),
            (28, b"\0\0\0D\0\x01\xf4\x15", Ok("D\u{1f415}")),
            (28, b"\0\0\0", Err("UniversalString")),
            (28, b"\0\x11\0\0", Err("UniversalString")),
            (30, b"\0D\x03\xb7", Ok("Dη")),
            (30, b"\xd8\x3d\xdc\x15", Ok("\u{1f415}")),
            (30, b"\xd8\x3d", Err("BMPString")),
            (30, b"\0", Err("BMPString")),
            (2, b"\x01", Err("another type")),
        ] {
            match (text_of(tag, bytes), expected) {
                (Ok(text), Ok(expected)) => assert_eq!(text, expected),
                (Err(why), Err(word)) => assert!(why.contains(word), "{why}"),
                (read, _) => panic!("{tag} {bytes:?} {read:?}"),
            }
        }
    }
}
