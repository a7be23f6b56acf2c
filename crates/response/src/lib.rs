//! wf-response
