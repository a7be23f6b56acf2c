//! Event text on its way out: inert everywhere, and cut without breaking anything.

use std::time::Duration;

use wf_model::{Notification, Purpose, Severity, text::visible};

/// An urgent message that leaves this much after it was decided says so.
const LATE: Duration = Duration::from_secs(60);

/// Control characters, invisible and reordering ones as escapes; addresses so that no program makes a link of them.
pub fn inert(text: &str) -> String {
    visible(text).replace("://", ":\u{2044}/").replace("http:", "hxxp:").replace("https:", "hxxps:")
}

/// At most so many characters, with an ellipsis where something is missing.
pub fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// What a program at the other end counts: UTF-16 code units.
pub fn utf16(text: &str) -> usize {
    text.encode_utf16().count()
}

/// `P1 Critical #2041`, or what a message about no incident is.
pub fn mark(n: &Notification) -> String {
    match n.page.number {
        0 => "Watchfloor".to_owned(),
        number => format!("{} {} #{number}", n.severity, n.severity.word()),
    }
}

/// Why it is sent, in a word or two of our own.
pub fn why(n: &Notification) -> &'static str {
    match n.purpose {
        Purpose::Trigger => "New incident",
        Purpose::Grew => "It grew",
        Purpose::Acknowledged => "Acknowledged",
        Purpose::Resolved => "Resolved",
        Purpose::Reopened => "Reopened",
        Purpose::Reminder => "Do you still stand by it?",
        Purpose::Alarm => "Escalation needs you",
        Purpose::Digest => "Daily digest",
        Purpose::Test => "Test",
        Purpose::Act => "Response action",
        Purpose::Undo => "Response action taken back",
    }
}

/// One line, inert.
pub fn headline(n: &Notification) -> String {
    format!("{}: {}", mark(n), inert(&n.page.title))
}

/// Names and values worth knowing, inert.
pub fn facts(n: &Notification) -> Vec<(&'static str, String)> {
    let p = &n.page;
    let mut facts = Vec::new();
    if !p.entity.is_empty() {
        facts.push(("About", inert(&p.entity)));
    }
    if p.count > 0 {
        facts.push(("Count", p.count.to_string()));
    }
    if !p.rule.is_empty() {
        facts.push(("Rule", inert(&p.rule)));
    }
    if p.number > 0 {
        facts.push(("Detected", p.detected_at.rfc3339()));
    }
    facts
}

/// Remarks, inert: names in them come from the config, but verdicts and reasons may hold an officer's words.
pub fn remarks(n: &Notification) -> Vec<String> {
    let mut remarks: Vec<String> = n.page.remarks.iter().map(|r| inert(r)).collect();
    // P3 and P4 may wait for working hours; what is urgent and waited was held up.
    let waited = n.attempted_at.map_or(Duration::ZERO, |at| at.since(n.created_at));
    if n.severity >= Severity::P2 && waited >= LATE {
        remarks.push(format!("Sent {} late: it could not be sent before", wf_model::span::spoken(waited)));
    }
    if n.possible_duplicate {
        remarks.push("Possible duplicate: an earlier attempt may have arrived".to_owned());
    }
    remarks
}

/// The alphabet of an SMS that takes seven bits a character: what has no place in it is written with what has.
pub fn gsm7(text: &str) -> String {
    const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
    text.chars()
        .map(|c| match c {
            c if BASIC.contains(c) => c,
            '…' => '.',
            '“' | '”' | '„' | '«' | '»' => '"',
            '‘' | '’' | '`' => '\'',
            '–' | '—' | '−' => '-',
            '\u{2044}' => '/',
            '[' | '{' => '(',
            ']' | '}' => ')',
            '\\' => '/',
            '|' | '~' | '^' => '-',
            'á' | 'â' | 'ã' | 'ā' => 'a',
            'ê' | 'ë' | 'ē' => 'e',
            'í' | 'î' | 'ï' => 'i',
            'ó' | 'ô' | 'õ' => 'o',
            'ú' | 'û' => 'u',
            'ç' => 'Ç',
            _ => '?',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t4_event_text_reaches_no_channel_as_anything_but_text() {
        let text = inert("<b>\u{202e}gnp.exe\r\nBcc: x@y https://evil.example/a");
        assert!(
            !text.contains('\u{202e}') && !text.contains('\n') && !text.contains('\r') && !text.contains("https://"),
            "{text}"
        );
    }

    #[test]
    fn an_urgent_message_that_was_held_up_says_how_late_it_is() {
        let mut n = crate::tests::notification();
        n.attempted_at = Some(n.created_at + Duration::from_secs(59));
        assert_eq!(remarks(&n).len(), 1);
        n.attempted_at = Some(n.created_at + Duration::from_secs(3720));
        assert_eq!(remarks(&n)[1], "Sent 1 h 2 min late: it could not be sent before");
        n.severity = Severity::P3;
        assert_eq!(remarks(&n).len(), 1);
    }

    #[test]
    fn what_an_sms_cannot_hold_is_written_with_what_it_can() {
        assert_eq!(gsm7("“café” – naïve [x] 日本"), "\"café\" - naive (x) ??");
        assert_eq!(cut("abcdef", 4), "abc…");
    }
}
