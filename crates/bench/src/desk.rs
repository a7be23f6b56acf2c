//! What an officer waits for with ten thousand incidents open: each question and each action, from the call to the
//! bytes the page would get.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use wf_testkit::{RunningConsole, ScriptServer, TestConsole};

const INCIDENTS: usize = 10_000;
const TIMES: usize = 100;

pub async fn run() {
    println!(
        "\ndesk: {INCIDENTS} open incidents with a ladder each; in the process, JSON included, {TIMES} times each"
    );
    let feed = Arc::new(ScriptServer::of(&[]).await);
    // Nothing is sent anywhere: the address refuses, and what is owed stays owed.
    let config = format!(
        "[feed.f]\nurl = \"{}\"\nmap = \"security-event\"\n[person.ann]\nname = \"Ann\"\nroles = [\"officer\"]\n[escalation]\nstorm = 1000000\n[severity.P1]\nchannels = [\"hook\"]\n[channel.hook]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:9/\"\nallow = [\"127.0.0.1\"]\n",
        feed.url()
    );
    let home = TestConsole::new(&config);
    let console = home.start().await;
    console.until_feed("f", "live", |f| f.state == "live").await;
    for n in 0..INCIDENTS {
        feed.push(&format!(
            r#"{{"type":"SQL Injection","ip":"10.{}.{}.{}","url":"/","field":"q"}}"#,
            n / 65_536,
            n / 256 % 256,
            n % 256
        ));
    }
    while console.console.desk.overview.open_urgent().await.unwrap()[0] < INCIDENTS as u64 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let ids: Vec<String> = console
        .console
        .desk
        .incidents
        .list(Some("live"), None, 100_000)
        .await
        .unwrap()
        .into_iter()
        .map(|i| i.id)
        .collect();
    measure("the queue, first thousand", &console, |c, _| {
        Box::pin(async move { json(&c.desk.incidents.queue("live", "", 1000).await.unwrap()) })
    })
    .await;
    measure("the queue, filtered by a word", &console, |c, _| {
        Box::pin(async move { json(&c.desk.incidents.queue("live", "10.0.7", 1000).await.unwrap()) })
    })
    .await;
    measure("the overview", &console, |c, _| Box::pin(async move { json(&c.overview().await.unwrap()) })).await;
    let all = ids.clone();
    measure("one incident's page", &console, move |c, n| {
        let id = all[n * 37 % all.len()].clone();
        Box::pin(async move { json(&c.desk.incidents.one(&id).await.unwrap()) })
    })
    .await;
    for (name, action, from) in [
        ("acknowledge", r#"{"do":"acknowledge"}"#, 0),
        ("escalate", r#"{"do":"escalate"}"#, 1000),
        ("snooze", r#"{"do":"snooze","minutes":60}"#, 2000),
        ("note", r#"{"do":"note","text":"looking"}"#, 3000),
        ("resolve", r#"{"do":"resolve","verdict":"benign"}"#, 4000),
    ] {
        let all = ids.clone();
        measure(name, &console, move |c, n| {
            let id = vec![all[from + n].clone()];
            Box::pin(
                async move { json(&c.desk.incidents.act(&id, &serde_json::from_str(action).unwrap()).await.unwrap()) },
            )
        })
        .await;
    }
    let all = ids.clone();
    measure("acknowledge fifty at once", &console, move |c, n| {
        let fifty = all[5000 + n % 99 * 50..5000 + (n % 99 + 1) * 50].to_vec();
        Box::pin(async move {
            json(
                &c.desk.incidents.act(&fifty, &serde_json::from_str(r#"{"do":"acknowledge"}"#).unwrap()).await.unwrap(),
            )
        })
    })
    .await;
    measure("readiness of four weeks", &console, |c, _| {
        Box::pin(async move { json(&c.desk.on_call.readiness().await.unwrap()) })
    })
    .await;
    measure("numbers of a month", &console, |c, _| {
        Box::pin(async move { json(&c.desk.incidents.metrics(None).await.unwrap()) })
    })
    .await;
    console.stop().await;
}

fn json(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).unwrap().len()
}

type Boxed = std::pin::Pin<Box<dyn Future<Output = usize> + Send>>;

async fn measure(what: &str, console: &RunningConsole, ask: impl Fn(Arc<wf_console::Console>, usize) -> Boxed) {
    let (mut times, mut bytes) = (Vec::with_capacity(TIMES), 0);
    for n in 0..TIMES {
        let began = Instant::now();
        bytes = ask(console.console.clone(), n).await;
        times.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    println!(
        "  {what}: median {:.1} ms, 95th percentile {:.1} ms, most {:.1} ms ({} kB)",
        times[TIMES / 2],
        times[TIMES * 95 / 100],
        times[TIMES - 1],
        bytes / 1000
    );
}
