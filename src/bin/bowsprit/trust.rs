//! Which certificates are trusted.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use bowsprit::tls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use bowsprit::tls::rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use bowsprit::tls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use bowsprit::tls::rustls::{self, ClientConfig, DigitallySignedStruct, SignatureScheme};
use bowsprit::tls::{Roots, client_config};

/// The certificates in this file, and no others.
pub(crate) fn only(file: &Path) -> Result<Arc<ClientConfig>, Box<dyn Error>> {
    let pem = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(client_config(Roots::from_pem(&pem)?)?)
}

/// Any certificate.
pub(crate) fn anything() -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let accepts = Arc::new(AnyCertificate(provider.signature_verification_algorithms));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(accepts)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Does not ask who the server is; only that it holds the key of the certificate that it shows.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
