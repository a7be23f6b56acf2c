//! TLS of a feed: whom it trusts, and what goes wrong with it, in words an officer can act on.

use std::io;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{AlertDescription, CertificateError, Error as TlsError, PeerIncompatible};
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::{Auth, FeedConfig};
use crate::connect_error::{ConnectError, failed};

const OLD_VERSION: &str =
    "the server speaks no TLS 1.2 or 1.3: older versions can be read on the way, so its operator must turn one on";
const CLIENT_CERTIFICATE: &str = "the server wants a client certificate that it trusts: use auth with the scheme mtls, \
     or ask its operator whether the one in auth.cert is still accepted";

/// What is trusted, and what we show of ourselves.
pub async fn config(config: &FeedConfig, key: Option<SecretString>) -> Result<Arc<rustls::ClientConfig>, ConnectError> {
    let (tls, auth) = (config.tls.clone(), config.auth.clone());
    let build = move || -> Result<rustls::ClientConfig, String> {
        let mut roots = rustls::RootCertStore::empty();
        match &tls.ca {
            Some(path) => {
                for cert in
                    CertificateDer::pem_file_iter(path).map_err(|e| format!("tls.ca {}: {e}", path.display()))?
                {
                    let cert = cert.map_err(|e| format!("tls.ca {}: {e}", path.display()))?;
                    roots.add(cert).map_err(|e| format!("tls.ca {}: {e}", path.display()))?;
                }
                if roots.is_empty() {
                    return Err(format!("tls.ca {}: there is no certificate in it", path.display()));
                }
            }
            None => {
                for cert in rustls_native_certs::load_native_certs().certs {
                    // One unreadable certificate of the system's store must not take the others with it.
                    if let Err(e) = roots.add(cert) {
                        tracing::debug!(error = %e, "a system certificate was left out");
                    }
                }
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_root_certificates(roots);
        match (auth, key) {
            (Some(Auth::Mtls { cert, .. }), Some(key)) => {
                let chain = CertificateDer::pem_file_iter(&cert)
                    .and_then(Iterator::collect)
                    .map_err(|e| format!("auth.cert {}: {e}", cert.display()))?;
                let key = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes())
                    .map_err(|_| "auth.secret holds no private key in PEM form".to_owned())?;
                builder.with_client_auth_cert(chain, key).map_err(|e| format!("auth.cert {}: {e}", cert.display()))
            }
            _ => Ok(builder.with_no_client_auth()),
        }
    };
    let config =
        tokio::task::spawn_blocking(build).await.map_err(|e| failed(e.to_string()))?.map_err(ConnectError::Refused)?;
    Ok(Arc::new(config))
}

/// Why TLS failed, and what to do about it.
pub fn in_words(e: &io::Error) -> String {
    if let Some(e) = e.get_ref().and_then(|e| e.downcast_ref::<TlsError>()) {
        return tls_in_words(e);
    }
    match e.kind() {
        io::ErrorKind::UnexpectedEof => {
            "the server hung up in the middle of the handshake: it may speak no TLS, or only a version older than \
             TLS 1.2"
                .to_owned()
        }
        _ => e.to_string(),
    }
}

fn tls_in_words(e: &TlsError) -> String {
    match e {
        TlsError::InvalidCertificate(e) => certificate_in_words(e),
        TlsError::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled,
        )
        | TlsError::AlertReceived(AlertDescription::ProtocolVersion) => OLD_VERSION.to_owned(),
        TlsError::AlertReceived(AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity)
        | TlsError::PeerIncompatible(_) => {
            format!(
                "the server and we have no way of encrypting in common; its operator must allow a current one ({e})"
            )
        }
        TlsError::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied,
        ) => format!("{CLIENT_CERTIFICATE} ({e})"),
        TlsError::InvalidMessage(_) => {
            "what answers there is no TLS: check the port, or whether the server offers ws:// only".to_owned()
        }
        e => format!("TLS failed: {e}"),
    }
}

fn certificate_in_words(e: &CertificateError) -> String {
    let words = match e {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired: its operator must renew it (or the clock of this machine is wrong)"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet: the clock of this machine is wrong, or the server's was"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the server's certificate is for another name: write the name it is for into url, or ask its operator for \
             a certificate with this one"
        }
        CertificateError::UnknownIssuer => {
            "the server's certificate is self-signed, or from an authority that is not trusted here: check that this \
             is the right server, then name the authority's certificate (PEM) under tls.ca"
        }
        CertificateError::Revoked => {
            "the server's certificate was revoked: do not connect before its operator renewed it"
        }
        // Only rustls' own verifier knows this one, and it has no name for it.
        CertificateError::Other(e) if format!("{e:?}").contains("CaUsedAsEndEntity") => {
            "the server's certificate is self-signed, made as an authority's own: its operator must have one issued \
             for the server (basicConstraints CA:FALSE); name who issued it under tls.ca"
        }
        e => {
            return format!("the server's certificate cannot be accepted: {}", TlsError::InvalidCertificate(e.clone()));
        }
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(e: TlsError) -> String {
        in_words(&io::Error::new(io::ErrorKind::InvalidData, e))
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_said_with_what_to_do() {
        let self_signed = rustls::OtherError(Arc::new(io::Error::other("CaUsedAsEndEntity")));
        for (error, expected) in [
            (CertificateError::Expired, "must renew it"),
            (CertificateError::NotValidYet, "clock"),
            (CertificateError::NotValidForName, "another name"),
            (CertificateError::UnknownIssuer, "tls.ca"),
            (CertificateError::Other(self_signed), "self-signed"),
        ] {
            let said = words(TlsError::InvalidCertificate(error));
            assert!(said.contains(expected) && !said.contains("Error("), "{said}");
        }
    }

    #[test]
    fn a_server_with_an_old_version_or_without_tls_is_told_apart_from_a_bad_certificate() {
        assert_eq!(words(TlsError::AlertReceived(AlertDescription::ProtocolVersion)), OLD_VERSION);
        assert_eq!(words(TlsError::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13)), OLD_VERSION);
        let eof = in_words(&io::Error::new(io::ErrorKind::UnexpectedEof, "tls handshake eof"));
        assert!(eof.contains("TLS 1.2") && !eof.contains("eof"), "{eof}");
        assert!(words(TlsError::AlertReceived(AlertDescription::CertificateRequired)).contains("mtls"));
    }
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod certificates;
