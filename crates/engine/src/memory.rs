//! What detection remembers, on its way to the disk and back: streamed through compression, because at a high rate it
//! is a hundred megabytes as text.

use std::panic::AssertUnwindSafe;

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wf_detect::Detector;
use wf_model::Seq;
use wf_store::{Store, StoreError};

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

/// Detection remembers what it knew: the snapshot, and the events stored since. Gives how many those were.
pub fn restore<'a>(store: &'a Store, detector: &'a mut Detector) -> BoxFuture<'a, Result<u64, StoreError>> {
    Box::pin(replay(store, detector))
}

async fn replay(store: &Store, detector: &mut Detector) -> Result<u64, StoreError> {
    let (mut through, mut seen) = (Seq(0), 0);
    match store.detector_state().await? {
        Some((seq, state)) => {
            through = seq;
            match unpack(&state) {
                Ok(snapshot) => detector.restore(snapshot),
                Err(e) => tracing::warn!(error = %e, "what detection remembered cannot be read; it starts anew"),
            }
        }
        None => {
            // Never snapshotted: the windows look back no further than this many events at the very most.
            let next = store.next_seq().await;
            through.0 = next.0.saturating_sub(200_000).max(through.0);
        }
    }
    loop {
        let page = store.events_after(through).await?;
        for damage in &page.damaged {
            tracing::error!("{damage}: detection goes on without it");
        }
        let Some(last) = page.events.last() else { return Ok(seen) };
        through = last.seq;
        seen += page.events.len() as u64;
        let events: Vec<_> = page.events.iter().map(|e| e.to_event()).collect();
        for event in &events {
            // Dropped: these matches were committed with these events.
            let looked = std::panic::catch_unwind(AssertUnwindSafe(|| {
                detector.on_batch(event.received_at, std::slice::from_ref(event)).len()
            }));
            if looked.is_err() {
                tracing::error!(seq = event.seq.0, "detection failed on a stored event; it goes on without it");
            }
        }
    }
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
