//! wf-demo
