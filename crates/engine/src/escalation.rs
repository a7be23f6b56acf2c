//! What becomes due with time: steps of ladders, ends of silences, the end of a storm.

use wf_model::{Actor, Timestamp};
use wf_response::{Changes, escalate, silence};
use wf_store::{Commit, StoreError};

use crate::context::Context;
use crate::ledger::ActError;

/// A moment has passed: everything that became due happens. The error is that of the last thing that could not be
/// written; the others happened.
pub(crate) async fn time_passes(context: &Context, now: Timestamp) -> Result<(), StoreError> {
    let ledger = &context.ledger;
    let mut failed = Ok(());
    let (due, ended) = ledger.look(|book| (book.due_at().is_some_and(|d| d <= now), silence::due(now, book)));
    if due {
        // In the order they became due, each in a commit of its own: one that cannot be written holds nobody else up.
        let mut ids: Vec<_> = ledger
            .look(|book| book.live().filter_map(|i| Some((i.due_at().filter(|d| *d <= now)?, i.id.clone()))).collect());
        ids.sort();
        for (_, id) in ids {
            let climbed = ledger
                .commit(move |book| {
                    let due = book.get(&id).and_then(|i| escalate::on_due(now, i, book.plan()));
                    (Commit::default(), due.unwrap_or_default())
                })
                .await;
            match climbed {
                Ok(changes) => context.tell(changes),
                // It stays due, and is tried again in a second.
                Err(e) => failed = Err(e),
            }
        }
    }
    for id in ended {
        match ledger.change(move |book| silence::end(now, &Actor::Engine, book, &id)).await {
            Ok(changes) => context.tell(changes),
            Err(ActError::Store(e)) => failed = Err(e),
            Err(e) => tracing::debug!(error = %e, "a silence ended twice"),
        }
    }
    failed
}

/// Every minute: nobody may be left whom a ladder could page.
pub(crate) async fn look_after(context: &Context, now: Timestamp) -> Result<(), StoreError> {
    let watched =
        context.ledger.commit(move |book| (Commit::default(), escalate::watch(now, book.plan(), book.live()))).await?;
    context.tell(watched);
    Ok(())
}

/// Every minute: a storm may be over.
pub(crate) async fn calm_down(context: &Context, now: Timestamp) -> Result<(), StoreError> {
    let calm = context
        .ledger
        .commit(move |book| {
            let over = book.calm(now);
            let changes =
                over.unwrap_or_else(|| if book.in_storm() { Changes::default() } else { book.after_storm(now) });
            (Commit::default(), changes)
        })
        .await?;
    context.tell(calm);
    Ok(())
}
