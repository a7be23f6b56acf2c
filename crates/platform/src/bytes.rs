//! Bytes as keys are made of them: random, and as text.

pub(crate) fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    // Without randomness there can be no key; an all-zero one would be worse than none.
    #[expect(clippy::expect_used, reason = "an OS without randomness cannot keep anything secret")]
    getrandom::fill(&mut bytes).expect("the operating system gives no randomness");
    bytes
}
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut out = [0; 32];
    for (i, slot) in out.iter_mut().enumerate() {
        *slot = u8::from_str_radix(&text[i * 2..i * 2 + 2], 16).ok()?;
    }
    Some(out)
}
