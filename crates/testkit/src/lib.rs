//! wf-testkit
