//! Real certificates at a real server on this machine: which of them a feed accepts, and what it says of the others.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, SupportedProtocolVersion, version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use wf_model::SecretSource;

use crate::connect::{Handshake, open};
use crate::connect_error::ConnectError;
use crate::twin::{NoSecrets, config, patiently};

const HOST: &str = "127.0.0.1";

type Served = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Who vouches for certificates.
struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params
    }

    fn root(name: &str) -> Self {
        let (params, key) = (Self::params(name), KeyPair::generate().unwrap());
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// An authority that this one vouches for, until the beginning of that year.
    fn under(&self, name: &str, until: i32) -> Self {
        let (mut params, key) = (Self::params(name), KeyPair::generate().unwrap());
        params.not_after = date_time_ymd(until, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    fn vouches(&self, params: &CertificateParams) -> Served {
        let key = KeyPair::generate().unwrap();
        (vec![params.signed_by(&key, &self.issuer).unwrap().der().clone()], private(&key))
    }

    /// In a file, as `tls.ca` wants it.
    fn file(&self) -> tempfile::NamedTempFile {
        let text = base64::engine::general_purpose::STANDARD.encode(&self.certificate);
        let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), pem).unwrap();
        file
    }
}

fn private(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()))
}

/// The certificate of a server with this name.
fn server(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "a server");
    params
}

fn nobody_vouches(params: &CertificateParams) -> Served {
    let key = KeyPair::generate().unwrap();
    (vec![params.self_signed(&key).unwrap().der().clone()], private(&key))
}

/// Serves one connection. What comes back is the port, and what the server saw of the client.
async fn serve(served: Served, versions: &[&'static SupportedProtocolVersion]) -> (u16, mpsc::Receiver<String>) {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(served.0, served.1)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((HOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, saw) = mpsc::channel(4);
    tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let stream = match acceptor.accept(tcp).await {
            Ok(stream) => stream,
            Err(e) => return tell.send(format!("left: {e}")).await.unwrap(),
        };
        tell.send("encrypted".to_owned()).await.unwrap();
        if tokio_tungstenite::accept_async(stream).await.is_ok() {
            tell.send("upgraded".to_owned()).await.unwrap();
        }
    });
    (port, saw)
}

/// What a feed with this `tls.ca` makes of a server at this port.
async fn connect(port: u16, ca: &tempfile::NamedTempFile) -> Result<Handshake, ConnectError> {
    let feed = config(&format!("wss://{HOST}:{port}/"), &format!("tls = {{ ca = '{}' }}\n", ca.path().display()));
    let secrets: Arc<dyn SecretSource> = Arc::new(NoSecrets);
    patiently(open(&feed, None, &secrets, 1 << 20)).await.map(|(_, handshake)| handshake)
}

#[tokio::test]
async fn t13_a_certificate_that_the_named_authority_vouches_for_is_accepted() {
    let root = Authority::root("ours");
    let ca = root.file();
    let between = root.under("in between", 4000);
    let (mut chain, key) = between.vouches(&server(HOST));
    chain.push(between.certificate.clone());
    for (versions, spoken) in [(&[&version::TLS13, &version::TLS12][..], "TLSv1_3"), (&[&version::TLS12], "TLSv1_2")] {
        for served in [root.vouches(&server(HOST)), (chain.clone(), key.clone_key())] {
            let (port, mut saw) = serve(served, versions).await;
            let handshake = connect(port, &ca).await.unwrap();
            assert_eq!(handshake.tls.as_deref(), Some(spoken));
            assert_eq!(patiently(saw.recv()).await.as_deref(), Some("encrypted"));
            assert_eq!(patiently(saw.recv()).await.as_deref(), Some("upgraded"));
        }
    }
}

#[tokio::test]
async fn t13_a_certificate_nobody_vouches_for_is_refused_and_the_officer_is_told_why() {
    let root = Authority::root("ours");
    let ca = root.file();
    let lapsed = root.under("lapsed", 2020);
    let mut by_lapsed = lapsed.vouches(&server(HOST));
    by_lapsed.0.push(lapsed.certificate.clone());
    let (mut expired, mut early, mut authority) = (server(HOST), server(HOST), server(HOST));
    expired.not_after = date_time_ymd(2020, 1, 1);
    early.not_before = date_time_ymd(4000, 1, 1);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let stranger = Authority::root("a stranger");
    let mut by_stranger = stranger.vouches(&server(HOST));
    by_stranger.0.push(stranger.certificate.clone());
    for (what, served, sentence) in [
        ("self-signed", nobody_vouches(&server(HOST)), "self-signed, or from an authority that is not trusted here"),
        ("an authority's own", nobody_vouches(&authority), "made as an authority's own"),
        ("another authority", by_stranger, "self-signed, or from an authority that is not trusted here"),
        ("an authority of the same name", Authority::root("ours").vouches(&server(HOST)), "cannot be accepted"),
        ("expired", root.vouches(&expired), "has expired"),
        ("not valid yet", root.vouches(&early), "is not valid yet"),
        ("another name", root.vouches(&server("feed.example")), "is for another name"),
        ("another address", root.vouches(&server("127.0.0.2")), "is for another name"),
        ("an expired authority in between", by_lapsed, "has expired"),
    ] {
        for versions in [&[&version::TLS13][..], &[&version::TLS12]] {
            let served = (served.0.clone(), served.1.clone_key());
            let (port, mut saw) = serve(served, versions).await;
            let error = connect(port, &ca).await.expect_err(what);
            let ConnectError::Failed { reason, .. } = &error else { panic!("{what}: {error}") };
            assert!(reason.contains(sentence) && !reason.contains("Error("), "{what}: {reason}");
            let left = patiently(saw.recv()).await.unwrap();
            assert!(left.starts_with("left: "), "{what}: nothing is said to such a server: {left}");
        }
    }
}

/// Reads what the client says first, answers, and hears the rest.
async fn answers(with: &'static [u8]) -> (u16, tokio::task::JoinHandle<io::Result<Vec<u8>>>) {
    let listener = TcpListener::bind((HOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await?;
        let mut header = [0u8; 5];
        tcp.read_exact(&mut header).await?;
        let mut hello = vec![0u8; usize::from(u16::from_be_bytes([header[3], header[4]]))];
        tcp.read_exact(&mut hello).await?;
        tcp.write_all(with).await?;
        let mut rest = Vec::new();
        tokio::time::timeout(Duration::from_secs(20), tcp.read_to_end(&mut rest)).await??;
        Ok(rest)
    });
    (port, heard)
}

/// A ServerHello of TLS 1.1: version, random, no session, a cipher suite, no compression.
const HELLO_OF_TLS_1_1: &[u8] = &{
    let mut bytes = [7u8; 47];
    let head = [0x16, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
    let mut i = 0;
    while i < head.len() {
        bytes[i] = head[i];
        i += 1;
    }
    // Behind the 32 random bytes.
    bytes[43] = 0;
    bytes[44] = 0;
    bytes[45] = 0x2f;
    bytes[46] = 0;
    bytes
};

#[tokio::test]
async fn t13_a_server_that_speaks_tls_1_1_only_is_refused_and_the_officer_is_told_why() {
    let ca = Authority::root("ours").file();
    for (what, answer) in [
        ("it goes on in TLS 1.1", HELLO_OF_TLS_1_1),
        ("it refuses with the alert for it", &[0x15, 3, 2, 0, 2, 2, 70][..]),
    ] {
        let (port, heard) = answers(answer).await;
        let error = connect(port, &ca).await.expect_err(what);
        let ConnectError::Failed { reason, .. } = &error else { panic!("{what}: {error}") };
        assert!(reason.contains("the server speaks no TLS 1.2 or 1.3"), "{what}: {reason}");
        // At most an alert (record type 21) comes after that: no key, and no request.
        let rest = patiently(heard).await.unwrap().unwrap();
        assert!(rest.is_empty() || rest[0] == 0x15, "{what}: {rest:?}");
    }
}
