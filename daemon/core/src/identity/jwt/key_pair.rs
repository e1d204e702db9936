//! Key pairs of JWTs by signing algorithm (JWA, RFC 7518): how each is made, stored and published as a JWK.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::identity::{IdentityError, signer};

/// A signing algorithm, by its JOSE name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SigningAlgorithm {
    /// Ed25519.
    #[default]
    #[serde(rename = "EdDSA")]
    Ed25519,
    /// ECDSA over P-256.
    #[serde(rename = "ES256")]
    Es256,
    /// RSA with 3072 bits, PKCS#1 v1.5 and SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
}

/// A new key pair, ready to be stored.
pub struct NewKey {
    /// The algorithm that it signs by.
    pub algorithm: SigningAlgorithm,
    /// PKCS#8, to be sealed.
    pub private: Zeroizing<Vec<u8>>,
    /// The public key: of Ed25519 its bytes, of P-256 its uncompressed point, of RSA its `RSAPublicKey` (PKCS#1).
    pub public: Vec<u8>,
}

/// The size of the RSA keys that are made: 128 bits of strength, as the curves have.
const RSA_SIZE: KeySize = KeySize::Rsa3072;

/// The DER before the private key in an ECPrivateKey (RFC 5915), and after it.
const EC_PRIVATE_KEY: [u8; 7] = [0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20];
const ON_P256: [u8; 12] = [0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// A private key, read as JWTs are signed with it. One of RSA is kept as a pair: checking it anew for each signature takes
/// longer than the signature.
pub(super) enum Private {
    Curve(EncodingKey),
    Rsa(RsaKeyPair),
}

impl Private {
    /// The signature of these bytes, in base64url.
    pub(super) fn sign(&self, bytes: &[u8], algorithm: SigningAlgorithm) -> Result<String, IdentityError> {
        match self {
            Self::Curve(key) => jsonwebtoken::crypto::sign(bytes, key, algorithm.of_jose())
                .map_err(|err| IdentityError(err.to_string())),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), bytes, &mut signature)
                    .map_err(|_| IdentityError("a signing key of RSA can not sign".to_owned()))?;
                Ok(URL_SAFE_NO_PAD.encode(signature))
            }
        }
    }
}

impl SigningAlgorithm {
    /// All algorithms.
    pub const ALL: [Self; 3] = [Self::Ed25519, Self::Es256, Self::Rs256];

    /// The algorithm of this name.
    pub fn named(name: &str) -> Result<Self, IdentityError> {
        let found = Self::ALL.into_iter().find(|algorithm| algorithm.name() == name);
        found.ok_or_else(|| IdentityError(format!("a key signs by {name:?}, which this version does not know")))
    }

    /// The name in the header of a JWT and in a JWK.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }

    /// True if a second signature of the same bytes is the same.
    pub(super) fn signs_alike(self) -> bool {
        match self {
            Self::Ed25519 | Self::Rs256 => true,
            Self::Es256 => false,
        }
    }

    pub(super) fn of_jose(self) -> Algorithm {
        match self {
            Self::Ed25519 => Algorithm::EdDSA,
            Self::Es256 => Algorithm::ES256,
            Self::Rs256 => Algorithm::RS256,
        }
    }

    /// The private key, from PKCS#8, as JWTs are signed with it.
    pub(super) fn signing(self, private: &[u8]) -> Result<Private, IdentityError> {
        Ok(match self {
            Self::Ed25519 => Private::Curve(EncodingKey::from_ed_der(private)),
            Self::Es256 => Private::Curve(EncodingKey::from_ec_der(private)),
            Self::Rs256 => {
                let unreadable = |_| IdentityError("a signing key of RSA can not be read".to_owned());
                Private::Rsa(RsaKeyPair::from_pkcs8(private).map_err(unreadable)?)
            }
        })
    }

    /// The public key as JWTs are verified with it.
    pub(super) fn verifying(self, public: &[u8]) -> DecodingKey {
        match self {
            Self::Ed25519 => DecodingKey::from_ed_der(public),
            Self::Es256 => DecodingKey::from_ec_der(public),
            Self::Rs256 => DecodingKey::from_rsa_der(public),
        }
    }

    /// The members of a public key's JWK (RFC 7518, section 6, and RFC 8037).
    pub(super) fn jwk_members(self, public: &[u8]) -> Result<Vec<(&'static str, String)>, IdentityError> {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        Ok(match self {
            Self::Ed25519 => vec![("kty", "OKP".to_owned()), ("crv", "Ed25519".to_owned()), ("x", encode(public))],
            Self::Es256 => {
                // One byte says that the point is not compressed; two coordinates of equal length follow.
                let (x, y) = public[1..].split_at(public.len() / 2);
                vec![("kty", "EC".to_owned()), ("crv", "P-256".to_owned()), ("x", encode(x)), ("y", encode(y))]
            }
            Self::Rs256 => {
                let (modulus, exponent) = signer::rsa_numbers(public)?;
                vec![("kty", "RSA".to_owned()), ("n", encode(&modulus)), ("e", encode(&exponent))]
            }
        })
    }
}

impl NewKey {
    /// Makes a key pair: from the seed, or of RSA by the random source of the library. Fails for one seed in four
    /// billion with ES256; a retry draws another.
    pub fn make(algorithm: SigningAlgorithm, seed: &[u8; 32]) -> Result<Self, IdentityError> {
        let failed = || IdentityError(format!("a key pair for {} can not be made", algorithm.name()));
        let (private, public) = match algorithm {
            SigningAlgorithm::Ed25519 => {
                let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| failed())?;
                let private = pair.to_pkcs8().map_err(|_| failed())?;
                (private.as_ref().to_vec(), pair.public_key().as_ref().to_vec())
            }
            SigningAlgorithm::Es256 => {
                // An ECPrivateKey (RFC 5915) with its curve and without its public key, which follows from it.
                let der = Zeroizing::new([&EC_PRIVATE_KEY, &seed[..], &ON_P256].concat());
                let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, &der);
                let pair = pair.map_err(|_| failed())?;
                let private = pair.to_pkcs8v1().map_err(|_| failed())?;
                (private.as_ref().to_vec(), pair.public_key().as_ref().to_vec())
            }
            SigningAlgorithm::Rs256 => {
                let pair = RsaKeyPair::generate(RSA_SIZE).map_err(|_| failed())?;
                let private: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| failed())?;
                (private.as_ref().to_vec(), pair.public_key().as_ref().to_vec())
            }
        };
        Ok(Self { algorithm, private: Zeroizing::new(private), public })
    }
}
