//! Mail over SMTP. TLS from the first byte or STARTTLS that is demanded; one thread an incident; plain text, so that no
//! program reads markup in it.

use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::AsyncSmtpTransport;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{Address, AsyncTransport as _, Message, Tokio1Executor};
use secrecy::ExposeSecret as _;
use wf_model::{Notification, Purpose};

use crate::config::{Email, MailSecurity};
use crate::text::{cut, facts, headline, inert, remarks, why};
use crate::{Channel, Outcome};

pub async fn send(c: &Email, channel: &Channel, n: &Notification) -> Result<Outcome, Outcome> {
    let message = message(c, n).map_err(|e| Outcome::Refused { reason: e, channel: false })?;
    let mut tls = TlsParameters::builder(c.host.clone());
    if let Some(path) = &c.ca {
        let pem = std::fs::read(path).map_err(|e| Outcome::refused(format!("ca {}: {e}", path.display())))?;
        tls = tls.add_root_certificate(
            Certificate::from_pem(&pem).map_err(|e| Outcome::refused(format!("ca {}: {e}", path.display())))?,
        );
    }
    let tls = tls.build_rustls().map_err(|e| Outcome::refused(format!("TLS: {e}")))?;
    let tls = match c.security {
        MailSecurity::Tls => Tls::Wrapper(tls),
        MailSecurity::Starttls => Tls::Required(tls),
    };
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&c.host)
        .port(c.port)
        .tls(tls)
        .timeout(Some(Duration::from_secs(25)));
    if let (Some(user), Some(reference)) = (&c.username, &c.password) {
        let password = channel.secret(reference).await?;
        transport = transport.credentials(Credentials::new(user.clone(), password.expose_secret().to_owned()));
    }
    Ok(match transport.build().send(message).await {
        Ok(answer) => Outcome::Delivered { id: answer.message().next().map(|m| cut(&inert(m), 100)) },
        Err(e) => outcome(&e),
    })
}

fn outcome(e: &lettre::transport::smtp::Error) -> Outcome {
    let mut reason = e.to_string();
    let mut cause = std::error::Error::source(e);
    while let Some(c) = cause {
        if !reason.contains(&c.to_string()) {
            reason = format!("{reason}: {c}");
        }
        cause = c.source();
    }
    let reason = cut(&inert(&reason), 300);
    if e.is_permanent() {
        // 5.1.x: this address; 5.7.x and 535: this account.
        let address = e.status().is_some_and(|s| matches!(u16::from(s), 550..=553));
        return Outcome::Refused { reason, channel: !address };
    }
    if e.is_tls() || reason.contains("certificate") || reason.contains("STARTTLS") {
        return Outcome::refused(reason);
    }
    // Once the server has the text, a lost answer leaves open whether it took it.
    Outcome::Retry { reason, after: None, maybe_sent: e.is_timeout() || e.is_response() }
}

/// Stable ids: the first message of an incident is the root that every later one answers.
fn message(c: &Email, n: &Notification) -> Result<Message, String> {
    let bad = |what: &str, e: String| format!("{what}: {e}");
    let from: Address = c.from.parse().map_err(|e| bad("from", format!("{e}")))?;
    let to: Address = n.to.address.parse().map_err(|e| bad("the address", format!("{e}")))?;
    let domain = from.domain().to_owned();
    let root = format!("<{}.{}@{domain}>", clean(&n.page.thread), clean(&n.to.address));
    let own = format!("<{}@{domain}>", clean(&n.key));
    // A header holds one line; the library encodes what is not ASCII.
    let subject = cut(&headline(n).replace(['\r', '\n'], " "), 200);
    let mut builder = MessageBuilder::new()
        .from(Mailbox::new(Some("Watchfloor".to_owned()), from))
        .to(Mailbox::new(None, to))
        .subject(subject)
        .message_id(Some(own))
        .header(ContentType::TEXT_PLAIN);
    if n.page.number > 0 {
        builder = builder.in_reply_to(root.clone()).references(root);
    }
    builder.body(body(n)).map_err(|e| e.to_string())
}

fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '-' }).take(200).collect()
}

fn body(n: &Notification) -> String {
    let mut text = String::new();
    if n.purpose != Purpose::Digest {
        text.push_str(&format!("{}\n\n{}\n\n", why(n), headline(n)));
    }
    for (name, value) in facts(n) {
        text.push_str(&format!("{:<10}{value}\n", format!("{name}:")));
    }
    for remark in remarks(n) {
        text.push_str(&format!("\n{remark}\n"));
    }
    if n.page.number > 0 {
        text.push_str("\nAcknowledge it in Watchfloor. This mail cannot be answered.\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::hostile;

    fn config() -> Email {
        Email {
            host: "mail.example.com".into(),
            port: 465,
            security: MailSecurity::Tls,
            username: None,
            password: None,
            from: "watchfloor@example.com".into(),
            ca: None,
        }
    }

    #[test]
    fn event_text_cannot_add_a_header_or_a_part() {
        let mut n = hostile();
        n.to.address = "anna@example.com".into();
        n.page.title = "x\r\nBcc: evil@example.com\r\n\r\n<script>".into();
        let text = String::from_utf8(message(&config(), &n).unwrap().formatted()).unwrap();
        let (headers, _) = text.split_once("\r\n\r\n").unwrap();
        assert!(!headers.lines().any(|l| l.to_lowercase().starts_with("bcc")), "{headers}");
        assert_eq!(
            headers.lines().filter(|l| l.starts_with("Content-Type")).collect::<Vec<_>>(),
            ["Content-Type: text/plain; charset=utf-8"]
        );
    }

    #[test]
    fn all_mails_about_an_incident_are_one_thread_and_each_has_an_id_of_its_own() {
        let mut n = crate::tests::notification();
        n.to.address = "anna@example.com".into();
        let header = |n: &Notification, name: &str| {
            let text = String::from_utf8(message(&config(), n).unwrap().formatted()).unwrap();
            text.lines().find(|l| l.starts_with(&format!("{name}:"))).unwrap().to_owned()
        };
        let (id, thread) = (header(&n, "Message-ID"), header(&n, "References"));
        assert_eq!(header(&n, "Message-ID"), id, "a repeat of one attempt is the same mail");
        n.key = "other".into();
        assert_ne!(header(&n, "Message-ID"), id);
        assert_eq!(header(&n, "References"), thread);
    }
}
