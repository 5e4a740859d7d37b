//! TLS.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

use super::StartError;
use crate::config::TlsFiles;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It is not what it should be.
    #[error("the file of --{setting} holds no {expected} in PEM form")]
    Pem {
        /// The name of the setting.
        setting: &'static str,
        /// What should be there.
        expected: &'static str,
    },
    /// It is refused.
    #[error(transparent)]
    Refused(#[from] rustls::Error),
}

/// What makes TLS connections of others, with this certificate. HTTP/2 is all that is spoken.
pub(super) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, StartError> {
    let TlsFiles { certificate, private_key } = files;
    let chain = read("tls-certificate-file", certificate)?;
    let key = read("tls-private-key-file", private_key)?;
    Ok(TlsAcceptor::from(Arc::new(server_config(&chain, &key)?)))
}

fn server_config(chain: &[u8], key: &[u8]) -> Result<ServerConfig, TlsError> {
    let bad_chain =
        TlsError::Pem { setting: "tls-certificate-file", expected: "certificate chain" };
    let bad_key = TlsError::Pem { setting: "tls-private-key-file", expected: "private key" };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or(bad_chain)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| bad_key)?;
    let provider = Arc::new(ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn read(setting: &'static str, path: &Path) -> Result<Vec<u8>, StartError> {
    let file = |source| StartError::TlsFile { setting, path: path.to_owned(), source };
    std::fs::read(path).map_err(file)
}
