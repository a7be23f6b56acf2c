//! The rooms of the privacy officer and the auditor, in the real window.

use wf_console::code_at;
use wf_model::Timestamp;

use crate::driver::{Home, Window};

const SECRET: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
const SETTINGS: &str = r#"
[privacy]
organisation = "Shop GmbH"
contact = "Dana Frey, data protection officer, dpo@shop.example"
country = "DE"
time_zone = "Europe/Berlin"
[person.bob]
name = "Bob Roe"
approver = "env:BOB"
"#;
const BEFORE: &str = "export BOB=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP;";

/// Writes into a field of a form.
async fn fill(window: &Window, field: &str, text: &str) {
    let script = format!(
        "const e = document.querySelector('dialog [data-field={field}]') ?? document.querySelector('[data-field={field}]'); if (!e) return false; e.value = {}; e.dispatchEvent(new Event(e.tagName === 'SELECT' ? 'change' : 'input', {{ bubbles: true }})); return true",
        serde_json::Value::from(text)
    );
    window.until(&format!("the field {field}"), &script).await;
}

/// Sends the form, and waits until it is gone.
async fn confirm(window: &Window) {
    window.click("[data-testid=confirm]").await;
    window.until("the form closed", "return document.querySelector('dialog[open]') === null").await;
}

async fn register(window: &Window, kind: &str, subject: &str) {
    window.click("[data-do=add]").await;
    fill(window, "kind", kind).await;
    fill(window, "subject", subject).await;
    fill(window, "contact", "ann.lee@mail.example").await;
    confirm(window).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_registered_verified_looked_at_approved_by_a_second_person_and_erased() {
    let (_server, config) = crate::attacked().await;
    let home = Home::with_server_key(&format!("{config}{SETTINGS}"));
    let window = Window::open(&home, BEFORE).await;
    window.see("1 feed live").await;
    window.press("8").await;
    window.see("No requests").await;
    window.press("c").await;
    window.see("Register a request").await;
    fill(&window, "kind", "access").await;
    fill(&window, "subject", "not an address@").await;
    window.click("[data-testid=confirm]").await;
    window.see("is no mail address").await;
    fill(&window, "subject", "email:ann@shop.example\nname:Ann Lee").await;
    confirm(&window).await;
    window.see("Access for").await;
    register(&window, "deletion", "ip:198.51.100.9").await;
    window.see("Deletion for ip 198.51.100.9").await;
    window.click("[data-do=check]").await;
    window.click("[data-do=verify]").await;
    fill(&window, "note", "called back under the number on file").await;
    confirm(&window).await;
    window.see("An erasure takes two persons").await;
    window
        .until("it cannot be executed yet", "return document.querySelector('[data-do=execute]')?.disabled === true")
        .await;
    window.click("[data-do=look]").await;
    window
        .until("what is held", "return document.querySelector('[data-testid=found]')?.textContent.includes('6 events')")
        .await;
    window.picture("privacy-request").await;
    window.click("[data-do=approve]").await;
    fill(&window, "code", "000000").await;
    window.click("[data-testid=confirm]").await;
    window.see("that is not the code").await;
    fill(&window, "code", &code_at(SECRET, Timestamp::now()).unwrap()).await;
    confirm(&window).await;
    window.until("it can be executed", "return document.querySelector('[data-do=execute]')?.disabled === false").await;
    window.click("[data-do=execute]").await;
    window.see("Executed, answer owed").await;
    window
        .until(
            "what was done",
            "return document.querySelector('[data-testid=outcome]')?.textContent.includes('events')",
        )
        .await;
    window.picture("privacy-erased").await;
    window.click("[data-do=complete]").await;
    fill(&window, "note", "by mail").await;
    confirm(&window).await;
    window.see("Deletion for erased").await;
    window.press("1").await;
    window.until("the live feed shows it no more", "return !document.body.innerText.includes('198.51.100.9')").await;
    window.press("2").await;
    window.until("nor does the queue", "return document.querySelectorAll('[data-incident]').length >= 2 && !document.body.innerText.includes('198.51.100.9')").await;
    window.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_becomes_a_breach_whose_clock_is_everywhere_until_the_authority_is_notified() {
    let (_server, config) = crate::attacked().await;
    let home = Home::with_server_key(&format!("{config}{SETTINGS}"));
    let window = Window::open(&home, BEFORE).await;
    window.see("1 feed live").await;
    window.press("2").await;
    window.see("12 failed logins from 203.0.113.45").await;
    window.until("the one with twelve is open", "for (const r of document.querySelectorAll('[data-incident]')) if (r.textContent.includes('12 failed')) { r.click(); break } return document.querySelector('[data-testid=title]')?.textContent.startsWith('12 ')").await;
    window.press("b").await;
    fill(&window, "why", "the account that was reached holds customer data").await;
    confirm(&window).await;
    window.see("Suspected since").await;
    window.click("[data-do=aware]").await;
    fill(&window, "why", "the export was opened from outside").await;
    confirm(&window).await;
    window
        .until(
            "the clock runs",
            "return /^71:59:/.test(document.querySelector('[data-testid=clock] b')?.textContent ?? '')",
        )
        .await;
    window
        .until("in the status bar, too", "return document.querySelector('[data-testid=breach-clock]') !== null")
        .await;
    window.until("what the incident says is filled in", "return document.querySelector('[data-field=nature]').value.includes('12 failed logins') && document.querySelector('[data-field=contact]').value.includes('Dana Frey')").await;
    for (field, text) in [
        ("subject_categories", "customers"),
        ("subjects", "1,200"),
        ("record_categories", "names, postal addresses"),
        ("records", "1200"),
        ("consequences", "phishing in the name of the shop"),
        ("measures", "the account was locked; its sessions were ended"),
    ] {
        fill(&window, field, text).await;
    }
    window.click("[data-do=save]").await;
    window.see("complete").await;
    window.picture("breach").await;
    window.run("document.querySelector('[aria-label=\"Change theme\"]').click()").await;
    window.picture("breach-light").await;
    window.run("document.querySelector('[aria-label=\"Change theme\"]').click()").await;
    window.press("1").await;
    window.until("the clock is seen from everywhere", "return document.querySelector('[data-testid=breach-clock]') !== null && document.querySelector('[data-room=privacy] .badge')?.textContent.includes('h')").await;
    window.click("[data-testid=breach-clock]").await;
    window.click("[data-do=notify]").await;
    fill(&window, "reference", "BfDI-2026-0815").await;
    confirm(&window).await;
    window.see("within the 72 hours").await;
    window.until("the clock stopped", "return document.querySelector('[data-testid=breach-clock]') === null").await;
    window.click("[data-do=subjects]").await;
    fill(&window, "exemption", "no_high_risk").await;
    fill(&window, "reason", "no passwords, no payment data").await;
    confirm(&window).await;
    window.click("[data-do=close]").await;
    window.see("closed").await;
    window.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consents_processing_holds_and_retention_are_kept_in_one_room() {
    let (_server, config) = crate::attacked().await;
    let home = Home::with_server_key(&format!("{config}{SETTINGS}[retention]\nrun_at = \"23:59\"\n"));
    let window = Window::open(&home, BEFORE).await;
    window.see("1 feed live").await;
    window.press("8").await;
    window.click("[data-tab=consents]").await;
    window.click("[data-do=add]").await;
    for (field, text) in [("subject", "email:ann@shop.example"), ("purpose", "newsletter"), ("version", "v3")] {
        fill(&window, field, text).await;
    }
    confirm(&window).await;
    window.see("1 valid").await;
    window.click("[data-tab=activities]").await;
    window.click("[data-do=add]").await;
    for (field, text) in [
        ("name", "Security monitoring"),
        ("controller", "Shop GmbH"),
        ("purposes", "finding attacks (Art. 32)"),
        ("subject_categories", "customers, staff"),
        ("data_categories", "addresses, account names"),
    ] {
        fill(&window, field, text).await;
    }
    confirm(&window).await;
    window.see("finding attacks (Art. 32)").await;
    window.click("[data-tab=holds]").await;
    window.click("[data-do=add]").await;
    fill(&window, "title", "Claim of a customer").await;
    fill(&window, "reason", "LG Berlin 12 O 345/26").await;
    window.click("[data-testid=confirm]").await;
    window.see("a hold says what it covers").await;
    fill(&window, "incidents", "#1").await;
    confirm(&window).await;
    window.see("incidents #1").await;
    window.click("[data-tab=retention]").await;
    window.see("Words as they came in").await;
    window.see("every day at 23:59").await;
    window.picture("retention").await;
    window.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_looked_at_page_by_page_made_and_kept_and_the_log_proves_it() {
    let (_server, config) = crate::attacked().await;
    let home = Home::with_server_key(&format!("{config}{SETTINGS}"));
    let window = Window::open(&home, BEFORE).await;
    window.see("1 feed live").await;
    window.press("2").await;
    window.see("12 failed logins from 203.0.113.45").await;
    window.press("9").await;
    window.see("No pages yet").await;
    window.click("[data-report=soc2]").await;
    window.click("[data-do=preview]").await;
    window.until("the pages are shown", "const p = [...document.querySelectorAll('[data-testid=pages] img')]; return p.length >= 3 && p.every((i) => i.complete && i.naturalWidth > 100)").await;
    window.run("document.querySelectorAll('[data-testid=pages] img')[1].scrollIntoView()").await;
    window.picture("reports").await;
    window.click("[data-do=make]").await;
    window
        .until(
            "it is kept",
            "return document.querySelector('[data-testid=made]')?.textContent.includes('SOC 2 evidence')",
        )
        .await;
    let pack = std::fs::read_dir(home.path().join("data/exports"))
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .find(|p| p.extension().is_some_and(|e| e == "zip"))
        .unwrap();
    assert!(wf_console::verify_pack(&pack, None).unwrap().good);
    window.press("0").await;
    window
        .until("the log says so", "return document.querySelector('[data-leaf]')?.textContent.includes('report.make')")
        .await;
    window.see("leads to the signed root").await;
    window.press("v").await;
    window.see("intact:").await;
    window.picture("audit").await;
    window.press("/").await;
    window.press("engine.start").await;
    window.until("the search leaves the start", "const r = [...document.querySelectorAll('[data-leaf]')]; return r.length === 1 && r[0].textContent.includes('engine.start')").await;
    window.close().await;
}
