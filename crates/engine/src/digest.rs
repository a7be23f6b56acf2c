//! The daily mail about P4. The key is date and recipient, so no day is sent twice; what it covers begins where the
//! last one that arrived ended, so a missed day is in the next. An empty day is one line, as proof of life.

use wf_model::{Destination, Purpose, Severity, Timestamp};
use wf_response::{Changes, about_itself, schedule};
use wf_store::StoreError;

use crate::context::Context;

/// Named one by one; the rest is counted.
const NAMED: usize = 100;

/// Owes today's digest, if its time has come and it is not owed yet.
pub async fn due(context: &Context, now: Timestamp) -> Result<(), StoreError> {
    let plan = context.plan();
    let Some(d) = &plan.digest else { return Ok(()) };
    let local = schedule::wall(d.time_zone, now);
    if local.time() < d.at {
        return Ok(());
    }
    let date = local.date();
    for id in &d.to {
        let Some(address) = plan.people.get(id).map(|p| p.email.clone()).filter(|a| !a.is_empty()) else { continue };
        let key = format!("digest.{date}.{id}");
        if context.store().notification(&key).await?.is_some() {
            continue;
        }
        // Before the first: one day.
        let since =
            context.store().last_digest(&address).await?.unwrap_or(now - std::time::Duration::from_secs(86_400));
        let found: Vec<_> = context
            .store()
            .incidents_since(since)
            .await?
            .into_iter()
            .filter(|i| i.severity == Severity::P4 && i.detected_at <= now)
            .collect();
        let days = now.since(since).as_secs_f64() / 86_400.0;
        let covers = if days > 1.5 { format!(" (covers {} days)", days.round()) } else { String::new() };
        let title = format!("{} P4 incidents on {date}{covers}", found.len());
        let mut remarks: Vec<String> =
            found.iter().take(NAMED).map(|i| format!("#{} {} ({})", i.number, i.title(), i.state)).collect();
        match found.len() {
            0 => remarks.push("Nothing of P4 happened. The console is alive".into()),
            n if n > NAMED => remarks.push(format!("and {} more", n - NAMED)),
            _ => {}
        }
        // Whoever keeps the mail keeps an anchor of the audit log.
        let checkpoint = context.ledger.log().checkpoint(now);
        remarks.push(format!(
            "Audit log: {} entries, root {}",
            checkpoint.size,
            checkpoint.note.lines().nth(2).unwrap_or_default()
        ));
        let to = Destination { channel: d.channel.clone(), address, person: Some(id.clone()) };
        let notification = about_itself(key, Purpose::Digest, Severity::P4, to, now, title, remarks);
        context
            .ledger
            .settle(Vec::new(), Vec::new(), Changes { notifications: vec![notification], ..Changes::default() })
            .await?;
    }
    Ok(())
}
