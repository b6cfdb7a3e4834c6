//! Certificates: the configured one, or one that is made and kept.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rclonepool_core::{Config, Error, ErrorKind, Result};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::auth::hex;

/// A certificate, ready for use.
pub struct Certificate {
    /// For the listeners.
    pub config: Arc<ServerConfig>,
    /// SHA-256 of the certificate, in hex with colons, as browsers show it.
    pub fingerprint: String,
    /// Where it lies.
    pub path: PathBuf,
}

/// Reads the configured certificate, or makes one for these names in `directory`, where it stays.
///
/// # Errors
/// `Config`, naming the key, for files that are no certificate or key, or do not belong together.
pub fn load(config: &Config, directory: &Path, names: &[String]) -> Result<Certificate> {
    let (cert, key) = match (&config.ssl_cert_file, &config.ssl_key_file) {
        (Some(cert), Some(key)) => (cert.clone(), key.clone()),
        _ => {
            let (cert, key) = (directory.join("cert.pem"), directory.join("key.pem"));
            if !(cert.exists() && key.exists()) {
                make(directory, &cert, &key, names)?;
            }
            (cert, key)
        }
    };
    let wrong = |name: &str, path: &Path, why: String| {
        Error::new(ErrorKind::Config, format!("{name} cannot be used: {why}")).at_path(path.display())
    };
    let chain = CertificateDer::pem_file_iter(&cert).and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>);
    let chain = chain.map_err(|e| wrong("ssl_cert_file", &cert, e.to_string()))?;
    let first = chain.first().ok_or_else(|| wrong("ssl_cert_file", &cert, "it holds no certificate".into()))?;
    let digest = ring::digest::digest(&ring::digest::SHA256, first);
    let fingerprint = digest.as_ref().iter().map(|b| hex(&[*b]).to_uppercase()).collect::<Vec<_>>().join(":");
    let private = PrivateKeyDer::from_pem_file(&key).map_err(|e| wrong("ssl_key_file", &key, e.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let built = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::new(ErrorKind::Internal, format!("TLS cannot be set up: {e}")))?
        .with_no_client_auth()
        .with_single_cert(chain, private);
    let mut built = built.map_err(|e| wrong("ssl_key_file", &key, e.to_string()))?;
    built.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Certificate { config: Arc::new(built), fingerprint, path: cert })
}

fn make(directory: &Path, cert: &Path, key: &Path, names: &[String]) -> Result<()> {
    let failed = |e: String| {
        Error::new(ErrorKind::Config, format!("no self-signed certificate can be kept: {e}"))
            .at_path(directory.display())
            .hint("give ssl_cert_file and ssl_key_file")
    };
    let made = rcgen::generate_simple_self_signed(names).map_err(|e| failed(e.to_string()))?;
    fs::create_dir_all(directory).map_err(|e| failed(e.to_string()))?;
    write(key, &made.signing_key.serialize_pem()).map_err(|e| failed(e.to_string()))?;
    write(cert, &made.cert.pem()).map_err(|e| failed(e.to_string()))
}

/// Nobody else may read it, not even for a moment.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_once_and_kept_private() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path().join("tls");
        let config = Config::default();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let first = load(&config, &at, &names).unwrap();
        assert_eq!(first.fingerprint.len(), 95);
        assert_eq!(load(&config, &at, &names).unwrap().fingerprint, first.fingerprint);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(at.join("key.pem")).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let (cert, key) = (Some(at.join("key.pem")), Some(at.join("key.pem")));
        let wrong = Config { ssl_cert_file: cert, ssl_key_file: key, ..Config::default() };
        let error = load(&wrong, &at, &names).err().unwrap();
        assert!(error.kind() == ErrorKind::Config && error.message().contains("ssl_cert_file"), "{error}");
    }
}
