//! An authority of the test's own, and the certificates that it gives.

use std::sync::Arc;

use bowsprit::tls::rustls::{ClientConfig, ServerConfig};
use bowsprit::tls::{Roots, client_config, server_config};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these names and addresses, and the key to it, both in PEM.
    pub(crate) fn certify(&self, hosts: &[&str]) -> (String, String) {
        self.certify_with(hosts, |_| {})
    }

    pub(crate) fn certify_with(&self, hosts: &[&str], change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let hosts: Vec<_> = hosts.iter().map(|&host| host.to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    /// A server that can prove to be any of these.
    pub(crate) fn server(&self, hosts: &[&str]) -> Arc<ServerConfig> {
        let (chain, key) = self.certify(hosts);
        server_config(chain.as_bytes(), key.as_bytes()).unwrap()
    }

    /// A client that trusts this authority alone.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        client_config(Roots::from_pem(self.pem().as_bytes()).unwrap()).unwrap()
    }
}
