//! Filters of sealed blocks are turned, so that a search of a year is as quick as one of a week.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::Mutex;
use wf_model::Timestamp;
use wf_store::{Store, StoreError};

use crate::timers::Chore;

/// Groups the filters of sealed blocks, beside everything else.
pub struct GroupFilters {
    store: Store,
    /// Held while it is at it. How it went the last time.
    busy: Arc<Mutex<Result<(), StoreError>>>,
}

impl GroupFilters {
    pub fn new(store: Store) -> Self {
        Self { store, busy: Arc::new(Mutex::new(Ok(()))) }
    }
}

impl Chore for GroupFilters {
    fn name(&self) -> &'static str {
        "filters of sealed events"
    }

    fn minute(&self, _: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        let mut said = Ok(());
        if let Ok(mut last) = self.busy.clone().try_lock_owned() {
            said = std::mem::replace(&mut *last, Ok(()));
            let store = self.store.clone();
            tokio::spawn(async move { *last = group(&store).await });
        }
        Box::pin(std::future::ready(said))
    }
}

async fn group(store: &Store) -> Result<(), StoreError> {
    // What a crash kept from being overwritten.
    store.settle_filters().await?;
    while store.group_filters().await? {}
    Ok(())
}
