//! The ways an identifier is written, as patterns.

use std::net::IpAddr;

/// The text as a pattern: percent-encoding and runs of spaces are the same to it.
pub(super) fn spelled(value: &str) -> String {
    let mut out = String::new();
    let mut space = false;
    for c in value.trim().chars() {
        if c.is_whitespace() {
            if !space {
                out.push_str(r"(?:\s|%20|\+)+");
            }
            space = true;
            continue;
        }
        space = false;
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else {
            let mut buffer = [0; 4];
            let encoded: String = c.encode_utf8(&mut buffer).bytes().map(|b| format!("%{b:02x}")).collect();
            out.push_str(&format!("(?:{}|{encoded})", regex::escape(&c.to_string())));
        }
    }
    out
}

/// The ways an address is written, as patterns: with and without leading zeros, any run of zeros left out, the end as
/// an IPv4 address, and an IPv4 address inside an IPv6 one.
pub(super) fn addresses(value: &str) -> Vec<String> {
    let Ok(ip) = value.parse::<IpAddr>() else { return vec![regex::escape(value)] };
    let (groups, v4) = match ip.to_canonical() {
        IpAddr::V4(a) => (a.to_ipv6_mapped().segments(), Some(a)),
        IpAddr::V6(a) => (a.segments(), None),
    };
    const COLON: &str = "(?::|%3a)";
    let group = |n: u16| if n == 0 { "0{1,4}".to_owned() } else { format!("0{{0,3}}{n:x}") };
    let join = |part: &[u16]| part.iter().map(|n| group(*n)).collect::<Vec<_>>().join(COLON);
    let last = format!("{}\\.{}\\.{}\\.{}", groups[6] >> 8, groups[6] & 255, groups[7] >> 8, groups[7] & 255);
    let mut all: Vec<String> = v4.iter().map(|a| regex::escape(&a.to_string())).collect();
    all.push(join(&groups));
    all.push(format!("{}{COLON}{last}", join(&groups[..6])));
    for from in 0..8 {
        for to in from + 1..=8 {
            if groups[from..to].iter().all(|n| *n == 0) {
                all.push(format!("{}{COLON}{COLON}{}", join(&groups[..from]), join(&groups[to..])));
                if to <= 6 {
                    let between = join(&groups[to..6]);
                    all.push(format!(
                        "{}{COLON}{COLON}{between}{}{last}",
                        join(&groups[..from]),
                        if between.is_empty() { "" } else { COLON }
                    ));
                }
            }
        }
    }
    // The longest first: a shorter one may begin it.
    all.sort_by_key(|a| std::cmp::Reverse(a.len()));
    all
}

/// Long and mixed enough to mean nobody else.
pub(super) fn distinctive(id: &str) -> bool {
    id.chars().count() >= 6 && id.chars().any(char::is_alphabetic)
}
