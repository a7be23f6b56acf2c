//! The script of a day at a web shop.
//!
//! Staff and customers go about their work, more by day than by night. Into every hour attacks of the kinds that
//! the built-in rules know are woven, each at its minute; [`EPISODES`] is the list.

use std::fmt::Write as _;

use wf_model::Timestamp;

/// Offsets are `minute * PER_MINUTE + place`, so that a cursor alone says where to go on.
pub const PER_MINUTE: u64 = 10_000_000;

/// Minute of the hour, and what happens then.
pub const EPISODES: &[(u32, &str)] = &[
    (3, "brute force from one address, then a success"),
    (12, "brute force from three addresses"),
    (20, "accounts locked; every fourth hour more than ten"),
    (25, "a login from a country not used before"),
    (31, "SQL injection probes"),
    (36, "cross-site scripting probes"),
    (42, "a thousand customer records read"),
    (47, "personal data exported without the right to it"),
    (52, "an error spike"),
    (57, "admin actions without the right to them"),
];

const STAFF: [&str; 10] = [
    "a.novak",
    "s.lindqvist",
    "p.rossi",
    "l.dubois",
    "j.alvarez",
    "t.meyer",
    "k.tanaka",
    "m.okafor",
    "svc-billing",
    "svc-search",
];
const COUNTRIES: [&str; 6] = ["NL", "SE", "IT", "FR", "DE", "ES"];
const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0",
    "shop-app/8.4.1 (Android 15; Pixel 8)",
];
const PATHS: [&str; 8] = [
    "/api/v1/orders/",
    "/api/v1/products/",
    "/api/v1/cart/",
    "/articles/",
    "/api/v1/customers/",
    "/search?page=",
    "/checkout/",
    "/account/orders/",
];

/// One event: where it stands, when it happens, and its frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoEvent {
    pub offset: u64,
    pub at: Timestamp,
    /// A JSON object with `offset`, `epoch` left out: the server adds it.
    pub body: String,
}

/// The machines that deploy.
const RUNNERS: [&str; 2] = ["10.2.9.20", "10.2.9.21"];

/// A deterministic day.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    pub seed: u64,
    /// Ordinary events a minute at the busiest hour.
    pub per_minute: u32,
    /// Leave the attacks out.
    pub quiet: bool,
}

impl Default for Scenario {
    fn default() -> Self {
        Self { seed: 1, per_minute: 120, quiet: false }
    }
}

struct Random(u64);

impl Random {
    /// SplitMix64: small, and the same everywhere.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len() as u64) as usize]
    }
}

impl Scenario {
    /// Everything that happens in a minute (counted from the epoch), in order of time.
    pub fn minute(&self, minute: i64) -> Vec<DemoEvent> {
        let mut random = Random(self.seed.wrapping_mul(0x1000_0001) ^ minute as u64);
        let mut out: Vec<(u64, String)> = Vec::with_capacity(self.per_minute as usize + 64);
        let hour = minute.rem_euclid(1440) / 60;
        // Percent of the busiest hour: quiet nights, a long working day.
        let busy = [30, 25, 22, 20, 22, 28, 40, 60, 80, 95, 100, 98, 90, 95, 100, 98, 92, 85, 75, 70, 62, 52, 42, 35]
            [hour as usize];
        let ordinary = u64::from(self.per_minute) * busy / 100;
        for i in 0..ordinary {
            let ms = (i * 60_000 + random.below(60_000)) / ordinary.max(1);
            out.push((ms.min(59_999), self.ordinary(&mut random)));
        }
        if !self.quiet {
            self.attacks(minute, &mut random, &mut out);
        }
        out.sort_by_key(|(ms, _)| *ms);
        out.into_iter()
            .enumerate()
            .map(|(i, (ms, body))| {
                let at = Timestamp::from_millis(minute * 60_000 + ms as i64);
                let offset = minute as u64 * PER_MINUTE + i as u64 + 1;
                let id = format!("{:x}-{offset:x}", self.seed);
                DemoEvent {
                    offset,
                    at,
                    body: format!("\"id\":\"{id}\",\"offset\":{offset},{}", body.replace("@@", &at.rfc3339())),
                }
            })
            .collect()
    }

    fn ordinary(&self, r: &mut Random) -> String {
        let n = r.below(100);
        let who = r.pick(&STAFF);
        let user = r.below(900);
        let home = format!("10.2.{}.{}", user % 8, user % 250);
        match n {
            0..6 => auth("login_success", who, user, &home, r.pick(&COUNTRIES), r, ",\"mfa_used\":true"),
            // One in a few hundred mistypes: never five within five minutes from one address, nor six an hour of one
            // customer.
            6 if r.below(4) == 0 => auth(
                "login_failed",
                &format!("customer{user}"),
                user,
                &format!("10.9.{}.{}", r.below(250), r.below(250)),
                r.pick(&COUNTRIES),
                r,
                ",\"reason\":\"bad password\"",
            ),
            7..18 => auth("token_refresh", who, user, &home, r.pick(&COUNTRIES), r, ""),
            18..24 => auth("api_key_used", "svc-deploy", 9, r.pick(&RUNNERS), "NL", r, ",\"api_key\":\"ci-deploy\""),
            24..28 => activity(
                &format!("GET {}{}", PATHS[4], r.below(9000)),
                who,
                user,
                &home,
                200,
                r,
                ",\"event\":\"record_read\",\"resource\":\"customers\",\"records\":1",
            ),
            _ => {
                let path = format!("{}{}", r.pick(&PATHS), r.below(90_000));
                let status = if r.below(150) == 0 { 500 } else { 200 };
                activity(&format!("GET {path}"), who, user, &home, status, r, ",\"event\":\"http_request\"")
            }
        }
    }

    fn attacks(&self, minute: i64, r: &mut Random, out: &mut Vec<(u64, String)>) {
        let hour = minute.rem_euclid(1440) / 60;
        let mut spread = |r: &mut Random, n: u64, body: &mut dyn FnMut(&mut Random, u64) -> String| {
            for i in 0..n {
                let ms = (i * 60_000 + r.below(30_000)) / n.max(1);
                out.push((ms, body(r, i)));
            }
        };
        let failed = |r: &mut Random, who: &str, ip: &str| {
            auth("login_failed", who, 2, ip, "NL", r, ",\"reason\":\"bad password\"")
        };
        match minute.rem_euclid(60) {
            // A password tried on one account after another.
            at @ 3..6 => spread(r, 15, &mut |r, i| {
                failed(r, &format!("customer{}", 200 + (at as u64 - 3) * 15 + i), "203.0.113.45")
            }),
            6 => {
                spread(r, 2, &mut |r, _| failed(r, "s.lindqvist", "203.0.113.45"));
                out.push((
                    59_000,
                    auth("login_success", "s.lindqvist", 2, "203.0.113.45", "NL", r, ",\"mfa_used\":false"),
                ));
            }
            12..15 => {
                for ip in ["198.51.100.23", "198.51.100.77", "192.0.2.10"] {
                    for i in 0..3 {
                        out.push((i * 15_000 + r.below(10_000), failed(r, "a.novak", ip)));
                    }
                }
            }
            20 => {
                let n = if hour % 4 == 0 { 12 } else { 3 };
                for i in 0..n {
                    let who = if n > 10 { format!("customer{}", 100 + i) } else { STAFF[i as usize].to_owned() };
                    out.push((
                        1000 + i * 4000,
                        auth(
                            "account_locked",
                            &who,
                            50 + i,
                            "198.51.100.23",
                            "NL",
                            r,
                            ",\"reason\":\"5 failed attempts\"",
                        ),
                    ));
                    out.push((
                        3000 + i * 4000,
                        auth("lockout_attempt_while_locked", &who, 50 + i, "198.51.100.23", "NL", r, ""),
                    ));
                }
            }
            25 => out.push((10_000, auth("login_success", "a.novak", 0, "192.0.2.200", "CN", r, ",\"mfa_used\":true"))),
            31 => spread(r, 6, &mut |r, i| {
                let probe = [
                    "/search?q=1' OR 1=1",
                    "/search?q=x' UNION SELECT email,password FROM users--",
                    "/p?id=1;DROP TABLE orders",
                ][i as usize % 3];
                security("SQL Injection", "198.51.100.66", probe, "q", r)
            }),
            36 => spread(r, 4, &mut |r, i| {
                let probe =
                    ["/search?q=<script>alert(document.cookie)</script>", "/articles/1?c=<img src=x onerror=alert(1)>"]
                        [i as usize % 2];
                security("XSS", "192.0.2.99", probe, "q", r)
            }),
            42 => spread(r, 8, &mut |r, _| {
                activity(
                    "GET /admin/customers/export?page=1",
                    "j.alvarez",
                    4,
                    "10.2.2.3",
                    200,
                    r,
                    ",\"event\":\"record_read\",\"resource\":\"customers\",\"records\":230",
                )
            }),
            47 => out.push((
                20_000,
                activity(
                    "POST /exports",
                    "t.meyer",
                    5,
                    "10.2.6.52",
                    200,
                    r,
                    ",\"event\":\"data_export\",\"contains_pii\":true,\"role\":\"support\",\"records\":412",
                ),
            )),
            52..54 => spread(r, 60, &mut |r, _| {
                activity("POST /checkout/pay", "svc-billing", 8, "10.2.6.219", 500, r, ",\"event\":\"http_request\"")
            }),
            57 => spread(r, 3, &mut |r, _| {
                activity(
                    "POST /admin/roles",
                    "t.meyer",
                    5,
                    "10.2.6.52",
                    403,
                    r,
                    ",\"event\":\"admin_action\",\"success\":false",
                )
            }),
            _ => {}
        }
    }
}

fn auth(event: &str, who: &str, user_id: u64, ip: &str, country: &str, r: &mut Random, more: &str) -> String {
    let agent = r.pick(&AGENTS);
    let session = r.next();
    format!(
        r#""event":"{event}","user_id":{user_id},"username":"{who}","email":"{who}@shop.example","ip_address":"{ip}","country":"{country}","user_agent":"{agent}","session":"{session:016x}","service":"shop-auth","timestamp":"@@"{more}"#
    )
}

fn activity(action: &str, who: &str, user_id: u64, ip: &str, status: u16, r: &mut Random, more: &str) -> String {
    let agent = r.pick(&AGENTS);
    let path = action.split_once(' ').map_or(action, |(_, p)| p);
    let (request, session, took) = (r.next(), r.next(), r.below(300));
    let mut text = String::with_capacity(640);
    // Writing to a String cannot fail.
    let _written = write!(
        text,
        r#""action":"{action}","url":"{path}","user_id":{user_id},"username":"{who}","email":"{who}@shop.example","ip_address":"{ip}","user_agent":"{agent}","status":{status},"duration_ms":{took},"request_id":"{request:016x}","session":"{session:016x}","referrer":"https://shop.example/account/orders","service":"shop-api","region":"eu-west-1","created_at":"@@"{more}"#
    );
    text
}

fn security(kind: &str, ip: &str, url: &str, field: &str, r: &mut Random) -> String {
    let agent = r.pick(&AGENTS);
    format!(
        r#""type":"{kind}","ip":"{ip}","user_agent":"{agent}","url":"{url}","field":"{field}","pattern":"matched_regex","user_id":null,"timestamp":"@@""#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_the_same_for_the_same_seed_and_every_line_is_json() {
        let s = Scenario::default();
        for minute in 29_000_000..29_000_120 {
            let events = s.minute(minute);
            assert_eq!(events, s.minute(minute));
            assert!(events.windows(2).all(|w| w[0].offset + 1 == w[1].offset && w[0].at <= w[1].at));
            for e in &events {
                let json: serde_json::Value = serde_json::from_str(&format!("{{{}}}", e.body)).unwrap();
                assert_eq!(json["offset"], e.offset);
            }
        }
        assert_ne!(s.minute(29_000_000), Scenario { seed: 2, ..s }.minute(29_000_000));
    }
}
