//! wf-store
