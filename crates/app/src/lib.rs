//! wf-app
