//! What detection remembers, on its way to the disk and back: streamed through compression, because at a high rate it
//! is a hundred megabytes as text.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The beginning of everything zstd writes.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// `None` when it cannot be written, which the log says: detection then starts from an older memory.
pub fn pack(state: &impl Serialize) -> Option<Vec<u8>> {
    let packed = zstd::Encoder::new(Vec::new(), 1).and_then(|encoder| {
        // The encoder wants large pieces; JSON comes in small ones.
        let mut out = std::io::BufWriter::with_capacity(64 << 10, encoder);
        serde_json::to_writer(&mut out, state)?;
        out.into_inner().map_err(std::io::IntoInnerError::into_error)?.finish()
    });
    packed.inspect_err(|e| tracing::error!(error = %e, "what detection remembers could not be packed")).ok()
}

/// Also as it was written before it was compressed.
pub fn unpack<T: DeserializeOwned>(state: &[u8]) -> std::io::Result<T> {
    if state.starts_with(&MAGIC) {
        return Ok(serde_json::from_reader(std::io::BufReader::new(zstd::Decoder::new(state)?))?);
    }
    Ok(serde_json::from_slice(state)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_and_what_was_written_before_is_read_and_garbage_is_an_error() {
        let state = vec!["a".repeat(1000); 50];
        let packed = pack(&state).unwrap();
        assert!(packed.len() < 1000);
        assert_eq!(unpack::<Vec<String>>(&packed).unwrap(), state);
        assert_eq!(unpack::<Vec<String>>(&serde_json::to_vec(&state).unwrap()).unwrap(), state);
        for garbage in [&b""[..], b"{", &packed[..packed.len() / 2], &MAGIC] {
            assert!(unpack::<Vec<String>>(garbage).is_err());
        }
    }
}
