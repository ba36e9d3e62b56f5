//! Which authorities a client trusts.

use std::vec::Vec;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use super::{certificates, general};

/// The authorities whose word a client takes for who a server is.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum Roots {
    /// Those that the system trusts, read when the configuration is made; `SSL_CERT_FILE` and `SSL_CERT_DIR` name
    /// others. The default: whom a machine trusts is for whoever runs it to say, authorities of a company's own are
    /// among them, and one that has lost its trust goes with an update of the system, not of every program.
    #[default]
    Platform,
    /// Those that Mozilla trusts, as this program was built with them: the same everywhere, also where the system has
    /// none, as old as the build.
    WebPki,
    /// These and no others.
    Only(Vec<CertificateDer<'static>>),
}

impl Roots {
    /// [`Roots::Only`] those in this PEM text.
    ///
    /// # Errors
    ///
    /// When it holds none, or what is no certificate.
    pub fn from_pem(pem: &[u8]) -> Result<Self, rustls::Error> {
        certificates(pem).map(Self::Only)
    }

    pub(super) fn load(self) -> Result<RootCertStore, rustls::Error> {
        let mut store = RootCertStore::empty();
        match self {
            Self::Platform => {
                let found = rustls_native_certs::load_native_certs();
                // Stores of systems hold oddities; one of them is no reason to trust nobody.
                let (added, _) = store.add_parsable_certificates(found.certs);
                if added == 0 {
                    return Err(found.errors.first().map_or_else(|| general(&NONE), |error| general(error)));
                }
            }
            Self::WebPki => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Self::Only(certificates) => {
                for certificate in certificates {
                    store.add(certificate)?;
                }
                if store.is_empty() {
                    return Err(general(&"no root certificate was given"));
                }
            }
        }
        Ok(store)
    }
}

const NONE: &str = "the system has no root certificates (Roots::WebPki has some)";
