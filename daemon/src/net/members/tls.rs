//! TLS 1.3 between the members of a cluster, with mutual authentication by raw public keys (RFC 7250): both ends prove
//! that they hold the key pair which is derived from the secret key, and accept nobody else.
//!
//! There is no certificate that could expire, and no authority. A peer that can not prove the key learns nothing and is
//! heard no further.

use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::signature::Ed25519KeyPair;
use enroll_core::identity::{IdentityError, Secrets};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs as crypto, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Both ends of TLS between members.
#[derive(Clone)]
pub struct MemberTls {
    /// For the member that accepts.
    pub(super) acceptor: TlsAcceptor,
    /// For the member that connects.
    pub(super) connector: TlsConnector,
}

impl MemberTls {
    /// The ends of a member with these secrets.
    pub fn new(secrets: &Secrets) -> Result<Self, IdentityError> {
        let unusable = |what: &str| IdentityError(format!("the members' key can not be used: {what}"));
        let pair = Ed25519KeyPair::from_seed_unchecked(secrets.member().as_slice());
        let pair = pair.map_err(|err| unusable(&err.to_string()))?;
        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|err| unusable(&err.to_string()))?;
        let signing = crypto::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(der.as_ref()));
        let signing = signing.map_err(|err| unusable(&err.to_string()))?;
        let public = signing.public_key().ok_or_else(|| unusable("it has no public half"))?.into_owned();
        let key = Arc::new(CertifiedKey::new(vec![CertificateDer::from(public.to_vec())], signing));
        let provider = Arc::new(crypto::default_provider());
        let expected = Arc::new(SameKey { public, provider: Arc::clone(&provider) });
        let failed = |err: Error| unusable(&err.to_string());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(failed)?
            .with_client_cert_verifier(expected.clone())
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(Arc::clone(&key))));
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(failed)?
            .dangerous()
            .with_custom_certificate_verifier(expected)
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(key)));
        // Each connection proves the key anew.
        client.resumption = Resumption::disabled();
        client.enable_sni = false;
        Ok(Self { acceptor: Arc::new(server).into(), connector: Arc::new(client).into() })
    }
}

/// The verifier of both ends: the other one has the same key.
#[derive(Debug)]
struct SameKey {
    public: SubjectPublicKeyInfoDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl SameKey {
    fn check(&self, shown: &CertificateDer<'_>) -> Result<(), Error> {
        match **shown == *self.public {
            true => Ok(()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn check_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let public = SubjectPublicKeyInfoDer::from(shown.as_ref());
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(message, &public, signature, algorithms)
    }
}

impl ServerCertVerifier for SameKey {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(shown).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("members speak TLS 1.3".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, shown, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for SameKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(shown).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("members speak TLS 1.3".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, shown, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use enroll_core::identity::secrets::SecretKey;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    fn tls(key: u8) -> MemberTls {
        MemberTls::new(&Secrets::derive(&SecretKey::new([key; 32])).expect("secrets")).expect("TLS")
    }

    /// Connects two members; what each of them says of it.
    async fn meet(client: &MemberTls, server: &MemberTls) -> (std::io::Result<()>, std::io::Result<()>) {
        let (near, far) = duplex(1 << 16);
        let connect = async {
            let name = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::UNSPECIFIED).into());
            let mut tls = client.connector.connect(name, near).await?;
            tls.write_all(b"hello").await?;
            let mut heard = [0; 5];
            // A client hears of its refusal with the first bytes.
            tls.read_exact(&mut heard).await?;
            assert_eq!(&heard, b"hello");
            Ok(())
        };
        let accept = async {
            let mut tls = server.acceptor.accept(far).await?;
            let mut heard = [0; 5];
            tls.read_exact(&mut heard).await?;
            tls.write_all(&heard).await?;
            tls.flush().await
        };
        tokio::join!(connect, accept)
    }

    #[tokio::test]
    async fn members_know_each_other_by_the_secret_key_and_nobody_else() {
        let (ours, others) = (tls(1), tls(2));
        assert!(matches!(meet(&ours, &tls(1)).await, (Ok(()), Ok(()))));
        assert!(matches!(meet(&others, &ours).await, (Err(_), Err(_))));
        assert!(matches!(meet(&ours, &others).await, (Err(_), Err(_))));
    }

    #[tokio::test]
    async fn somebody_without_a_key_is_refused() {
        let ours = tls(1);
        let provider = Arc::new(crypto::default_provider());
        let nobody = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])
            .expect("TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            .with_no_client_auth();
        let nobody = MemberTls { connector: Arc::new(nobody).into(), ..tls(1) };
        assert!(matches!(meet(&nobody, &ours).await, (Err(_), Err(_))));
    }

    /// Accepts every key.
    #[derive(Debug)]
    struct Anybody(Arc<CryptoProvider>);

    impl ServerCertVerifier for Anybody {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }

        fn requires_raw_public_keys(&self) -> bool {
            true
        }
    }
}
