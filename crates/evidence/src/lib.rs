//! wf-evidence
