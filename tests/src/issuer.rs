//! An issuer of JWTs that is not this daemon.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use enroll_core::identity::pem;
use enroll_protocol::Jwt;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// Somebody who signs JWTs.
pub struct Signer {
    /// By which it signs.
    pub algorithm: Algorithm,
    key: EncodingKey,
    /// The public key in PEM.
    pub public: String,
    /// The key id in its JWTs.
    pub kid: Option<&'static str>,
}

impl Signer {
    /// RS256.
    pub fn rsa() -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
        let private: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().expect("PKCS#8");
        let public: aws_lc_rs::encoding::PublicKeyX509Der<'_> = pair.public_key().as_der().expect("a public key");
        // The PKCS#8 header of a key of this size.
        let key = EncodingKey::from_rsa_der(&private.as_ref()[26..]);
        Self { algorithm: Algorithm::RS256, key, public: pem::write("PUBLIC KEY", public.as_ref()), kid: None }
    }

    /// ES256.
    pub fn ec() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key");
        let private = pair.to_pkcs8v1().expect("PKCS#8");
        let public = pair.public_key().as_der().expect("a public key");
        let key = EncodingKey::from_ec_der(private.as_ref());
        Self { algorithm: Algorithm::ES256, key, public: pem::write("PUBLIC KEY", public.as_ref()), kid: None }
    }

    /// EdDSA.
    pub fn ed() -> Self {
        let pair = Ed25519KeyPair::generate().expect("a key");
        let private = pair.to_pkcs8v1().expect("PKCS#8");
        let public = pair.public_key().as_der().expect("a public key");
        let key = EncodingKey::from_ed_der(private.as_ref());
        Self { algorithm: Algorithm::EdDSA, key, public: pem::write("PUBLIC KEY", public.as_ref()), kid: None }
    }

    /// A JWK set of its public key.
    pub fn set(&self, id: &str) -> String {
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm).expect("a JWK");
        jwk.common.key_id = Some(id.to_owned());
        json!({ "keys": [jwk] }).to_string()
    }

    /// A JWT of these claims.
    pub fn sign(&self, claims: &Value) -> Jwt {
        self.sign_with(&Header { kid: self.kid.map(str::to_owned), ..Header::new(self.algorithm) }, claims)
    }

    /// The same with this header.
    pub fn sign_with(&self, header: &Header, claims: &Value) -> Jwt {
        Jwt::new(jsonwebtoken::encode(header, claims, &self.key).expect("signed")).expect("a JWT")
    }
}
