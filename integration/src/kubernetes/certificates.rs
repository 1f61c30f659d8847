//! The test authority: one per process, one serving certificate for every API server of it.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

use super::Error;

/// Files that API servers and their clients are started with.
#[derive(Debug)]
pub(super) struct Authority {
    pub(super) certificate: PathBuf,
    pub(super) certificate_pem: String,
    pub(super) serving_certificate: PathBuf,
    pub(super) serving_key: PathBuf,
}

impl Authority {
    pub(super) fn write(folder: &Path) -> Result<Self, Error> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, "test clusters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

        let mut params =
            CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let serving = params.signed_by(&key, &issuer)?;

        Ok(Self {
            certificate: write(folder.join("ca.crt"), &issuer.pem())?,
            certificate_pem: issuer.pem(),
            serving_certificate: write(folder.join("serving.crt"), &serving.pem())?,
            serving_key: write(folder.join("serving.key"), &key.serialize_pem())?,
        })
    }
}

/// The key pair that signs service account tokens; each cluster has its own, as clusters do.
#[derive(Debug)]
pub(super) struct AccountKey {
    pub(super) private: PathBuf,
    pub(super) public: PathBuf,
}

impl AccountKey {
    pub(super) fn write(folder: &Path) -> Result<Self, Error> {
        let key = KeyPair::generate()?;
        Ok(Self {
            private: write(folder.join("accounts.key"), &key.serialize_pem())?,
            public: write(folder.join("accounts.pub"), &key.public_key_pem())?,
        })
    }
}

pub(super) fn write(path: PathBuf, text: &str) -> Result<PathBuf, Error> {
    match std::fs::write(&path, text) {
        Ok(()) => Ok(path),
        Err(source) => Err(Error::File { path, source }),
    }
}
