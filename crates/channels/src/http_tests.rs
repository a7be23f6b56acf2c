//! The client against servers that are not what they should be: one that sends it elsewhere, one that nobody vouches
//! for.

use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;

const HERE: &str = "127.0.0.1";

fn clients() -> [(&'static str, Client); 2] {
    // The first test of this process has made it the default; the others find it.
    let _first = rustls::crypto::aws_lc_rs::default_provider().install_default().is_ok();
    [("for providers", client().unwrap()), ("guarded", guarded(&[HERE.to_owned()]).unwrap())]
}

/// Reads a request to its blank line and gives this answer.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, with: &str) {
    let mut asked = Vec::new();
    let mut chunk = [0u8; 4096];
    while !asked.windows(4).any(|w| w == b"\r\n\r\n") {
        match stream.read(&mut chunk).await {
            Ok(n) if n > 0 => asked.extend_from_slice(&chunk[..n]),
            _ => return,
        }
    }
    if stream.write_all(with.as_bytes()).await.is_ok() {
        drop(stream.shutdown().await);
    }
}

/// A server that gives everybody the same answer, and how often it was connected to.
async fn serving(with: String) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let (address, count) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            answer(stream, &with).await;
        }
    });
    (address, count)
}

fn http(status: u16, more: &str) -> String {
    format!("HTTP/1.1 {status} X\r\n{more}content-length: 0\r\nconnection: close\r\n\r\n")
}

#[tokio::test]
async fn t7_a_redirect_is_an_answer_and_nobody_goes_there() {
    let (elsewhere, heard) = serving(http(200, "")).await;
    for status in [301, 302, 303, 307, 308] {
        let (address, asked) = serving(http(status, &format!("location: http://{elsewhere}/canary\r\n"))).await;
        let url = target(&format!("http://{address}/hook"), &[HERE.to_owned()]).unwrap();
        for (kind, client) in clients() {
            for request in [client.get(url.clone()), client.post(url.clone()).bearer_auth("secret").body("{}")] {
                let answer = ask(request).await.unwrap();
                assert_eq!(answer.status, status, "{kind}");
                assert!(matches!(answer.outcome(), Outcome::Refused { .. }), "{kind}: {answer:?}");
            }
        }
        let refused = visit(url, &[HERE.to_owned()]).await.unwrap_err();
        assert!(refused.contains(&status.to_string()), "{refused}");
        assert_eq!(asked.load(Ordering::SeqCst), 5, "each was asked once");
        assert_eq!(heard.load(Ordering::SeqCst), 0, "{status}: somebody went there");
    }
}

/// An HTTPS server with a certificate for this machine that nobody vouches for, and what it saw of its clients.
async fn self_signed() -> (SocketAddr, mpsc::Receiver<&'static str>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec![HERE.to_owned(), "localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().der().clone();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], private)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, saw) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            match acceptor.accept(tcp).await {
                Ok(stream) => {
                    tell.send("spoke").await.unwrap();
                    answer(stream, &http(200, "")).await;
                }
                Err(_) => tell.send("left").await.unwrap(),
            }
        }
    });
    (address, saw)
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused_and_nothing_is_said() {
    // As the console does at its start.
    let _first = rustls::crypto::aws_lc_rs::default_provider().install_default().is_ok();
    let (address, mut saw) = self_signed().await;
    for host in [HERE, "localhost"] {
        let url = target(&format!("https://{host}:{}/hook", address.port()), &[host.to_owned()]).unwrap();
        let named = guarded(&[host.to_owned()]);
        for client in [clients().map(|(_, client)| client)[0].clone(), named.unwrap()] {
            let outcome = ask(client.post(url.clone()).bearer_auth("secret").body("{}")).await.unwrap_err();
            let Outcome::Retry { reason, maybe_sent: false, .. } = &outcome else { panic!("{outcome:?}") };
            assert!(reason.starts_with("no connection") && reason.contains("certificate"), "{reason}");
            assert_eq!(saw.recv().await, Some("left"), "{host}");
        }
        // It is the certificate alone that was in the way.
        let careless = builder().tls_danger_accept_invalid_certs(true).build().unwrap();
        assert_eq!(ask(careless.post(url).body("{}")).await.unwrap().status, 200);
        assert_eq!(saw.recv().await, Some("spoke"), "{host}");
    }
}
