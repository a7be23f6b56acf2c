//! wf-feeds
