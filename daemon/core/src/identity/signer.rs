//! Signing keys of certificates: the authority's private key (Ed25519, ECDSA or RSA), and verification of signatures
//! with public keys.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    RSA_PKCS1_SHA256, RsaKeyPair, RsaParameters, RsaPssSaltLength, UnparsedPublicKey, VerificationAlgorithm,
};
use der::asn1::{Any, AnyRef, BitString, ObjectIdentifier, UintRef};
use der::{Decode as _, Sequence};
use jsonwebtoken::{Algorithm, DecodingKey};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use zeroize::Zeroizing;

use super::{IdentityError, pem};

/// The bits that an RSA key has, at least and at most.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The default salt length of RSASSA-PSS.
const PSS_SALT_BYTES: u16 = 20;

const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const RSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");

/// A private key that signs.
pub(super) enum Signer {
    Ecdsa(EcdsaKeyPair, ObjectIdentifier),
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A new key pair of a certificate.
pub(super) struct NewPair {
    /// The private key in PKCS#8.
    pub(super) private: Zeroizing<Vec<u8>>,
    pub(super) public: SubjectPublicKeyInfoOwned,
}

/// An RSA public key (`RSAPublicKey`).
#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

/// The parameters of an RSASSA-PSS signature, or those that a key demands of its signatures (RFC 4055, section 3.1).
/// MGF1 must use the digest of the signature.
#[derive(Sequence)]
struct PssParameters {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    digest: Option<AlgorithmIdentifierOwned>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    mask: Option<AlgorithmIdentifierOwned>,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", optional = "true")]
    salt_bytes: Option<u16>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    trailer: Option<u32>,
}

impl NewPair {
    /// Makes a key pair on the curve P-256.
    pub(super) fn make() -> Result<Self, IdentityError> {
        let failed = |_| IdentityError("a P-256 key pair can not be made".to_owned());
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(failed)?;
        let private = pair.to_pkcs8v1().map_err(failed)?;
        let public = pair.public_key().as_der().map_err(failed)?;
        Ok(Self { private: Zeroizing::new(private.as_ref().to_vec()), public: public_key(public.as_ref())? })
    }
}

impl Signer {
    /// Reads the key of a PEM text, not encrypted.
    pub(super) fn of_pem(text: &str) -> Result<Self, IdentityError> {
        let blocks = pem::read(text)?;
        // openssl ecparam writes the curve in front of the key.
        let mut keys = blocks.iter().filter(|block| block.label.ends_with("PRIVATE KEY"));
        match (keys.next(), keys.next()) {
            (Some(block), None) if block.label != "ENCRYPTED PRIVATE KEY" => Self::of_der(&block.der),
            (Some(_), None) => {
                Err(IdentityError("the private key is encrypted; store it without a password".to_owned()))
            }
            (None, _) => Err(IdentityError("there is no private key in PEM".to_owned())),
            (Some(_), Some(_)) => Err(IdentityError("there is more than one private key".to_owned())),
        }
    }

    /// Reads a key: PKCS#8, or the older form of its algorithm (SEC 1, PKCS#1).
    pub(super) fn of_der(der: &[u8]) -> Result<Self, IdentityError> {
        for (algorithm, curve) in [(&ECDSA_P256_SHA256_ASN1_SIGNING, P256), (&ECDSA_P384_SHA384_ASN1_SIGNING, P384)] {
            let pair = EcdsaKeyPair::from_pkcs8(algorithm, der);
            if let Ok(pair) = pair.or_else(|_| EcdsaKeyPair::from_private_key_der(algorithm, der)) {
                return Ok(Self::Ecdsa(pair, curve));
            }
        }
        if let Ok(pair) = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der)) {
            return match RSA_BITS.contains(&(8 * pair.public_modulus_len())) {
                true => Ok(Self::Rsa(pair)),
                false => {
                    let bits = 8 * pair.public_modulus_len();
                    Err(IdentityError(require_strong_rsa(bits).err().unwrap_or_default()))
                }
            };
        }
        let unusable = || IdentityError("the private key is none of P-256, P-384, Ed25519 and RSA".to_owned());
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(Self::Ed25519).map_err(|_| unusable())
    }

    /// The signature algorithm, encoded.
    pub(super) fn algorithm(&self) -> Result<AlgorithmIdentifierOwned, IdentityError> {
        let (oid, parameters) = match self {
            Self::Ecdsa(_, curve) if *curve == P256 => (ECDSA_SHA256, None),
            Self::Ecdsa(..) => (ECDSA_SHA384, None),
            Self::Rsa(_) => (RSA_SHA256, Some(AnyRef::NULL.into())),
            Self::Ed25519(_) => (ED25519, None),
        };
        Ok(AlgorithmIdentifierOwned { oid, parameters })
    }

    /// The public key of the pair, encoded.
    pub(super) fn public(&self) -> Result<SubjectPublicKeyInfoOwned, IdentityError> {
        let (oid, parameters, key) = match self {
            Self::Ecdsa(pair, curve) => (EC, Some(curve.into()), pair.public_key().as_ref()),
            Self::Rsa(pair) => (RSA, Some(AnyRef::NULL.into()), pair.public_key().as_ref()),
            Self::Ed25519(pair) => (ED25519, None, pair.public_key().as_ref()),
        };
        let algorithm = AlgorithmIdentifierOwned { oid, parameters };
        Ok(SubjectPublicKeyInfoOwned { algorithm, subject_public_key: BitString::from_bytes(key)? })
    }

    /// Signs bytes. Two signatures of the same bytes may differ.
    pub(super) fn sign(&self, bytes: &[u8]) -> Result<BitString, IdentityError> {
        let failed = |_| IdentityError("the authority's key can not sign".to_owned());
        let random = SystemRandom::new();
        Ok(match self {
            Self::Ecdsa(pair, _) => BitString::from_bytes(pair.sign(&random, bytes).map_err(failed)?.as_ref())?,
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, bytes, &mut signature).map_err(failed)?;
                BitString::from_bytes(&signature)?
            }
            Self::Ed25519(pair) => BitString::from_bytes(pair.try_sign(bytes).map_err(failed)?.as_ref())?,
        })
    }
}

/// The public key of these bytes.
pub(super) fn public_key(der: &[u8]) -> Result<SubjectPublicKeyInfoOwned, IdentityError> {
    SubjectPublicKeyInfoOwned::from_der(der).map_err(|_| IdentityError("a public key can not be read".to_owned()))
}

/// The JOSE algorithm of a public key, and the key.
pub(super) fn verifying(key: &SubjectPublicKeyInfoOwned) -> Result<(Algorithm, DecodingKey), IdentityError> {
    require_strong(key).map_err(IdentityError)?;
    let bytes = key.subject_public_key.raw_bytes();
    match key.algorithm.oid {
        RSA => Ok((Algorithm::RS256, DecodingKey::from_rsa_der(bytes))),
        ED25519 => Ok((Algorithm::EdDSA, DecodingKey::from_ed_der(bytes))),
        EC if curve_of(key) == Some(P256) => Ok((Algorithm::ES256, DecodingKey::from_ec_der(bytes))),
        _ => Err(IdentityError("a public key is none of RSA, P-256 and Ed25519".to_owned())),
    }
}

/// Refuses a key that no certificate is issued for, and names the keys that are accepted.
pub(super) fn require_strong(key: &SubjectPublicKeyInfoOwned) -> Result<(), String> {
    let bits = match &key.algorithm {
        algorithm if algorithm.oid == ED25519 => return Ok(()),
        algorithm if algorithm.oid == EC && curve_of(key).is_some_and(|curve| [P256, P384, P521].contains(&curve)) => {
            return Ok(());
        }
        algorithm if algorithm.oid == RSA || algorithm.oid == RSA_PSS => {
            let modulus = RsaPublicKey::from_der(key.subject_public_key.raw_bytes());
            modulus.map_or(0, |key| bits(key.modulus.as_bytes()))
        }
        _ => 0,
    };
    match bits {
        0 => Err("its key is none of P-256, P-384, P-521, Ed25519 and RSA".to_owned()),
        bits => require_strong_rsa(bits),
    }
}

/// The modulus and the exponent of an `RSAPublicKey` (PKCS#1), without leading zeros.
pub(super) fn rsa_numbers(der: &[u8]) -> Result<(Vec<u8>, Vec<u8>), IdentityError> {
    let key = RsaPublicKey::from_der(der)?;
    Ok((key.modulus.as_bytes().to_vec(), key.exponent.as_bytes().to_vec()))
}

/// Refuses an RSA key of too few bits, which is weak, and of more than libraries support.
pub(super) fn require_strong_rsa(bits: usize) -> Result<(), String> {
    let (least, most) = (RSA_BITS.start(), RSA_BITS.end());
    match bits {
        bits if bits < *least => Err(format!("its RSA key of {bits} bits is weak; {least} to {most} bits will do")),
        bits if bits > *most => Err(format!("its RSA key has {bits} bits; {least} to {most} will do")),
        _ => Ok(()),
    }
}

/// Verifies a signature of these bytes with a public key.
pub(super) fn is_signed_by(
    key: &SubjectPublicKeyInfoOwned,
    algorithm: &AlgorithmIdentifierOwned,
    bytes: &[u8],
    signature: &BitString,
) -> bool {
    // Bytes that are not whole are no signature.
    let (Some(public), Some(signature)) = (key.subject_public_key.as_bytes(), signature.as_bytes()) else {
        return false;
    };
    let oid = algorithm.oid;
    if oid == RSA_PSS {
        let by = pss_of(key, algorithm);
        return by.is_some_and(|by| by.verify_sig(public, bytes, signature).is_ok());
    }
    let curve = curve_of(key);
    let by: &'static dyn VerificationAlgorithm = match key.algorithm.oid {
        ED25519 if oid == ED25519 => &signature::ED25519,
        RSA if oid == RSA_SHA256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        RSA if oid == RSA_SHA384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        RSA if oid == RSA_SHA512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        EC if curve == Some(P256) && oid == ECDSA_SHA256 => &signature::ECDSA_P256_SHA256_ASN1,
        EC if curve == Some(P256) && oid == ECDSA_SHA384 => &signature::ECDSA_P256_SHA384_ASN1,
        EC if curve == Some(P256) && oid == ECDSA_SHA512 => &signature::ECDSA_P256_SHA512_ASN1,
        EC if curve == Some(P384) && oid == ECDSA_SHA256 => &signature::ECDSA_P384_SHA256_ASN1,
        EC if curve == Some(P384) && oid == ECDSA_SHA384 => &signature::ECDSA_P384_SHA384_ASN1,
        EC if curve == Some(P384) && oid == ECDSA_SHA512 => &signature::ECDSA_P384_SHA512_ASN1,
        EC if curve == Some(P521) && oid == ECDSA_SHA256 => &signature::ECDSA_P521_SHA256_ASN1,
        EC if curve == Some(P521) && oid == ECDSA_SHA384 => &signature::ECDSA_P521_SHA384_ASN1,
        EC if curve == Some(P521) && oid == ECDSA_SHA512 => &signature::ECDSA_P521_SHA512_ASN1,
        _ => return false,
    };
    UnparsedPublicKey::new(by, public).verify(bytes, signature).is_ok()
}

/// The verification of an RSASSA-PSS signature, if the key and the parameters fit.
fn pss_of(key: &SubjectPublicKeyInfoOwned, algorithm: &AlgorithmIdentifierOwned) -> Option<RsaParameters> {
    let said = PssParameters::of(algorithm.parameters.as_ref()?)?;
    let is_allowed = match (key.algorithm.oid, &key.algorithm.parameters) {
        (RSA, _) | (RSA_PSS, None) => true,
        (RSA_PSS, Some(asked)) => {
            let asked = PssParameters::of(asked)?;
            asked.digest() == said.digest() && asked.salt_bytes() <= said.salt_bytes()
        }
        _ => false,
    };
    let by = match said.digest()? {
        SHA256 => signature::RSA_PSS_2048_8192_SHA256,
        SHA384 => signature::RSA_PSS_2048_8192_SHA384,
        SHA512 => signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    };
    is_allowed.then(|| by.with_pss_salt_length(RsaPssSaltLength::Custom(said.salt_bytes())))
}

impl PssParameters {
    fn of(parameters: &Any) -> Option<Self> {
        parameters.decode_as().ok()
    }

    /// `None` is SHA-1.
    fn digest(&self) -> Option<ObjectIdentifier> {
        self.digest.as_ref().map(|digest| digest.oid)
    }

    fn salt_bytes(&self) -> u16 {
        self.salt_bytes.unwrap_or(PSS_SALT_BYTES)
    }
}

fn curve_of(key: &SubjectPublicKeyInfoOwned) -> Option<ObjectIdentifier> {
    key.algorithm.parameters.as_ref()?.decode_as().ok()
}

/// The number of bits of a number whose bytes have no leading zeros.
pub(super) fn bits(bytes: &[u8]) -> usize {
    bytes.first().map_or(0, |first| 8 * bytes.len() - first.leading_zeros() as usize)
}
