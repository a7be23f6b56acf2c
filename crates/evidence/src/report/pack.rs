//! The evidence pack: one zip that proves itself.
//!
//! - `MANIFEST.sha256` names every other file with its SHA-256, as `sha256sum -c` reads it; `MANIFEST.sig` signs it
//!   (Ed25519), as `openssl pkeyutl -verify -rawin` takes it.
//! - `audit.json` is the audit log up to the checkpoint: its root is computed again from every entry.
//! - The comment of the zip is a signed note over the SHA-256 of everything before it, so that not a byte of the file,
//!   names and dates included, can change unseen.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::Signature;
use ed25519_dalek::pkcs8::DecodePublicKey as _;
use sha2::{Digest as _, Sha256};
use wf_model::{Leaf, SignedCheckpoint};
use zip::write::SimpleFileOptions;

use crate::Export;
use crate::log::{AuditLog, PublicKey};
use crate::signers::Signers;
use crate::tree::hex;
use crate::verify::{Integrity, verify as verify_log};

const ORIGIN: &str = "watchfloor.evidence";
const MANIFEST: &str = "MANIFEST.sha256";
const SIGNATURE: &str = "MANIFEST.sig";
const KEY: &str = "public.pem";
const AUDIT: &str = "audit.json";
const README: &str = "README.txt";
/// More than this is no pack of ours: 8 GiB unpacked.
const UNPACKED_LIMIT: u64 = 8 << 30;
const FILES_LIMIT: usize = 1000;
/// The end record of a zip, without its comment.
const END: usize = 22;

/// Why a pack could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the pack could not be written: {0}")]
pub struct PackError(String);

/// Makes a pack of `files`, with the audit log up to `checkpoint` and everything that verifying takes.
pub fn pack(
    log: &AuditLog,
    leaves: &[Leaf],
    checkpoint: &SignedCheckpoint,
    files: Vec<(String, Vec<u8>)>,
) -> Result<Vec<u8>, PackError> {
    let error = |e: &dyn std::fmt::Display| PackError(e.to_string());
    let mut all: BTreeMap<String, Vec<u8>> = files.into_iter().collect();
    all.insert(
        AUDIT.into(),
        serde_json::to_vec(&Export::without_proofs(log, leaves, checkpoint)).map_err(|e| error(&e))?,
    );
    all.insert("checkpoint.txt".into(), checkpoint.note.clone().into_bytes());
    all.insert(KEY.into(), log.public_key().to_pem().into_bytes());
    all.insert(README.into(), readme().into_bytes());
    let manifest: String =
        all.iter().map(|(name, bytes)| format!("{}  {name}\n", hex(&Sha256::digest(bytes)))).collect();
    let signature = log.sign(manifest.as_bytes());
    all.insert(MANIFEST.into(), manifest.into_bytes());
    all.insert(SIGNATURE.into(), signature.to_vec());
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let comment_length = note(log, &[0; 32]).len();
    zip.set_raw_comment(vec![b' '; comment_length].into_boxed_slice()).map_err(|e| error(&e))?;
    // The same content gives the same file: no dates, in order of name.
    let options = SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated)
        .compression_level(Some(4))
        .last_modified_time(zip::DateTime::default())
        .unix_permissions(0o600)
        .large_file(false);
    for (name, bytes) in &all {
        zip.start_file(name, options).map_err(|e| error(&e))?;
        zip.write_all(bytes).map_err(|e| error(&e))?;
    }
    let mut out = zip.finish().map_err(|e| error(&e))?.into_inner();
    let body = out.len() - comment_length;
    let signed = note(log, &Sha256::digest(&out[..body]).into());
    out.truncate(body);
    out.extend_from_slice(signed.as_bytes());
    Ok(out)
}

fn text_of(hash: &[u8; 32]) -> String {
    format!("{ORIGIN}\n{}\n", BASE64.encode(hash))
}

/// The signed note over a hash (C2SP `signed-note`).
fn note(log: &AuditLog, hash: &[u8; 32]) -> String {
    let text = text_of(hash);
    let mut signed = log.public_key().id_for(ORIGIN).to_vec();
    signed.extend(log.sign(text.as_bytes()));
    format!("{text}\n\u{2014} {ORIGIN} {}\n", BASE64.encode(signed))
}

/// What was found out about a pack.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Verdict {
    pub good: bool,
    /// Sentences: what holds, and what does not.
    pub findings: Vec<String>,
    pub files: usize,
    pub leaves: u64,
    /// SHA-256 of the key that signed, in hex groups.
    pub key: String,
    /// The key was given from outside; otherwise it is the pack's own word.
    pub key_given: bool,
}

/// Checks a pack with nothing but its bytes and, if it is at hand, the public key (PEM) one was given.
pub fn verify(bytes: &[u8], key: Option<&str>) -> Verdict {
    let mut findings = Vec::new();
    match check(bytes, key, &mut findings) {
        Ok((files, leaves, key_used)) => {
            Verdict { good: true, findings, files, leaves, key: key_used.fingerprint(), key_given: key.is_some() }
        }
        Err(reason) => {
            findings.push(reason);
            Verdict { good: false, findings, files: 0, leaves: 0, key: String::new(), key_given: key.is_some() }
        }
    }
}

fn check(bytes: &[u8], key: Option<&str>, findings: &mut Vec<String>) -> Result<(usize, u64, PublicKey), String> {
    let read_key = |pem: &str| {
        ed25519_dalek::VerifyingKey::from_public_key_pem(pem)
            .map(PublicKey)
            .map_err(|_| "the public key is not readable: a PEM file with an Ed25519 key is wanted".to_owned())
    };
    let given = key.map(read_key).transpose()?;
    let length = text_of(&[0; 32]).len() + format!("\n\u{2014} {ORIGIN} \n").len() + 92;
    let body = bytes.len().checked_sub(length).filter(|b| *b >= END).ok_or("it is too short to be an evidence pack")?;
    if !bytes[body - END..].starts_with(b"PK\x05\x06")
        || usize::from(u16::from_le_bytes([bytes[body - 2], bytes[body - 1]])) != length
    {
        return Err("it is no evidence pack: the signed comment is missing".into());
    }
    let note_text = std::str::from_utf8(&bytes[body..]).map_err(|_| "the signed comment was changed")?;
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|e| format!("it is no readable zip: {e}"))?;
    if zip.len() > FILES_LIMIT {
        return Err(format!("{} files in it: that is no evidence pack", zip.len()));
    }
    // The signature before anything else is unpacked: what strangers made is not worth memory (threat T11).
    let own = {
        let mut pem = String::new();
        let mut file = zip.by_name(KEY).map_err(|_| format!("{KEY} is missing"))?;
        (&mut file).take(10_000).read_to_string(&mut pem).map_err(|e| format!("{KEY}: {e}"))?;
        read_key(&pem)?
    };
    let public = match given {
        Some(given) if given != own => {
            return Err(format!(
                "it was signed with another key than the one given: {} instead of {}",
                own.fingerprint(),
                given.fingerprint()
            ));
        }
        Some(given) => given,
        None => own,
    };
    // Everything before the comment.
    let expected = text_of(&Sha256::digest(&bytes[..body]).into());
    let signed = note_text
        .strip_prefix(&expected)
        .ok_or("bytes of the file were changed after it was signed")?
        .strip_prefix(&format!("\n\u{2014} {ORIGIN} "))
        .and_then(|s| s.strip_suffix('\n'))
        .and_then(|s| BASE64.decode(s).ok())
        .filter(|s| s.len() == 68 && s[..4] == public.id_for(ORIGIN))
        .ok_or("the signature of the file is not readable")?;
    let holds = |message: &[u8], signature: &[u8]| {
        Signature::from_slice(signature).is_ok_and(|s| public.0.verify_strict(message, &s).is_ok())
    };
    if !holds(expected.as_bytes(), &signed[4..]) {
        return Err("the signature of the file does not hold".into());
    }
    findings.push("the file is as it was signed, byte for byte".into());
    let mut unpacked = 0;
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for i in 0..zip.len() {
        let mut file = zip.by_index(i).map_err(|e| format!("file {i}: {e}"))?;
        let name = file.name().map_err(|e| format!("file {i}: {e}"))?.into_owned();
        if name.contains(['/', '\\', ':']) || name.starts_with('.') {
            return Err(format!("a file has the name {name:?}"));
        }
        let mut content = Vec::new();
        (&mut file)
            .take(UNPACKED_LIMIT - unpacked + 1)
            .read_to_end(&mut content)
            .map_err(|e| format!("{name}: {e}"))?;
        unpacked += content.len() as u64;
        if unpacked > UNPACKED_LIMIT {
            return Err("it unpacks to more than 8 GiB".into());
        }
        if files.insert(name.clone(), content).is_some() {
            return Err(format!("{name} is in it twice"));
        }
    }
    let text_file =
        |name: &str| files.get(name).and_then(|b| std::str::from_utf8(b).ok()).ok_or(format!("{name} is missing"));
    let manifest = text_file(MANIFEST)?;
    if !holds(manifest.as_bytes(), files.get(SIGNATURE).ok_or(format!("{SIGNATURE} is missing"))?) {
        return Err("the signature of the manifest does not hold".into());
    }
    let mut named = 0;
    for line in manifest.lines() {
        let (hash, name) = line.split_once("  ").ok_or("a line of the manifest is not readable")?;
        let content = files.get(name).ok_or(format!("{name} is in the manifest and not in the pack"))?;
        if hex(&Sha256::digest(content)) != hash {
            return Err(format!("{name} is not what the manifest says"));
        }
        named += 1;
    }
    if named + 2 != files.len() {
        return Err("there are files in it that the manifest does not name".into());
    }
    findings.push(format!("{named} files are as the signed manifest has them"));
    let export: Export = serde_json::from_slice(files.get(AUDIT).ok_or("the audit log is missing")?)
        .map_err(|e| format!("{AUDIT}: {e}"))?;
    let (leaves, checkpoint) = export.open(&public)?;
    match verify_log(&Signers::from(&public), &leaves, std::slice::from_ref(&checkpoint), None).integrity {
        Integrity::Intact { leaves, erased, .. } => findings.push(format!(
            "the audit log of {leaves} entries leads to the signed root; {erased} of them have had their details erased"
        )),
        Integrity::Broken { reason } => return Err(format!("the audit log: {reason}")),
    }
    if text_file("checkpoint.txt")? != checkpoint.note {
        return Err("checkpoint.txt is not the checkpoint of the audit log".into());
    }
    // The report was printed with the root it is packed with.
    if let Some(report) = files.get("report.json") {
        let report: serde_json::Value = serde_json::from_slice(report).map_err(|e| format!("report.json: {e}"))?;
        if report["checkpoint"]["root"].as_str() != checkpoint.note.lines().nth(2) {
            return Err("the report bears another root than the audit log it is packed with".into());
        }
    }
    Ok((named, leaves.len() as u64, public))
}

/// Whether any line of a text in the pack passes the test. An unreadable pack passes: nobody knows what is in it.
pub fn any_line(bytes: &[u8], test: &dyn Fn(&str) -> bool) -> bool {
    let Ok(mut zip) = zip::ZipArchive::new(Cursor::new(bytes)) else { return true };
    (0..zip.len().min(FILES_LIMIT)).any(|i| {
        let Ok(file) = zip.by_index(i) else { return true };
        if !file.name().is_ok_and(|n| n.ends_with(".csv") || n.ends_with(".json")) {
            return false;
        }
        std::io::BufRead::lines(std::io::BufReader::new(file)).any(|line| line.is_ok_and(|l| test(&l)))
    })
}

fn readme() -> String {
    format!(
        "An evidence pack of Watchfloor.

To check it without Watchfloor, unpack it and run in that folder:

    sha256sum -c {MANIFEST}
    openssl pkeyutl -verify -pubin -inkey {KEY} -rawin -in {MANIFEST} -sigfile {SIGNATURE}

The first says that every file is what the manifest has, the second that the manifest was signed with the key in {KEY}.
Compare that key with the one you were given by another way.

{AUDIT} holds the audit log: its header, payload and salt of every entry, and the signed checkpoint. An entry's hash is
SHA-256(0x00 || header || LF || SHA-256(salt || payload)); the entries are the leaves of a Merkle tree as in RFC 6962, whose root is on the
third line of checkpoint.txt. Details that were erased for a data subject are null; their hash, and so every proof, stays.

With Watchfloor:  watchfloorctl evidence verify PACK.zip --key {KEY}
With Python:      verify_audit.py PACK.zip
Both also check the signed note in the comment of the zip, which covers every byte of the file.

CSV files: a cell that a spreadsheet could take for a formula begins with an apostrophe.
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::AuditKey;
    use wf_model::{Actor, AuditAction, Timestamp};

    fn small() -> (Vec<u8>, String) {
        let actions: Vec<AuditAction> = (0..5)
            .map(|i| AuditAction {
                at: Timestamp::from_millis(i),
                actor: Actor::Engine,
                action: "a.b".into(),
                subject: format!("x:{i}"),
                payload: serde_json::json!({ "n": i }),
            })
            .collect();
        let (mut leaves, checkpoint, log) =
            AuditLog::new(AuditKey::from_seed(&[7; 32]), []).append(Timestamp::EPOCH, &actions, || [3; 32]);
        // One subject was erased: it still proves itself.
        (leaves[2].payload, leaves[2].salt) = (None, None);
        let bytes = pack(&log, &leaves, &checkpoint, vec![("report.csv".into(), b"a,b\n1,2\n".repeat(20))]).unwrap();
        (bytes, log.public_key().to_pem())
    }

    #[test]
    fn a_pack_proves_itself_and_the_same_content_is_the_same_file() {
        let (bytes, key) = small();
        assert_eq!(small().0, bytes);
        let v = verify(&bytes, Some(&key));
        assert!(
            v.good && v.leaves == 5 && v.findings.iter().any(|f| f.contains("1 of them have had their details erased")),
            "{v:?}"
        );
        assert!(verify(&bytes, None).good);
        let other = AuditLog::new(AuditKey::from_seed(&[8; 32]), []).public_key().to_pem();
        assert!(verify(&bytes, Some(&other)).findings[0].contains("another key"));
        assert!(!verify(&bytes, Some("nonsense")).good);
    }

    #[test]
    fn t16_every_single_byte_change_of_a_pack_is_found() {
        let (bytes, key) = small();
        for at in 0..bytes.len() {
            for flip in [1u8, 0x80] {
                let mut wrong = bytes.clone();
                wrong[at] ^= flip;
                assert!(!verify(&wrong, Some(&key)).good, "byte {at} of {}, flipped by {flip}", bytes.len());
            }
        }
        for cut in [0, 1, END, bytes.len() / 2, bytes.len() - 1] {
            assert!(!verify(&bytes[..cut], Some(&key)).good, "cut to {cut}");
        }
        for garbage in [&b""[..], b"PK\x05\x06", &[0; 400]] {
            assert!(!verify(garbage, None).good);
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(!verify(&longer, Some(&key)).good);
    }
}
