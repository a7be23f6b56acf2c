//! Lists that come from a spreadsheet: consents and processing activities. What was taken in goes out again and comes
//! back the same.

use wf_privacy::{activity, consent};

use super::nothing;
use crate::Target;
use crate::assert::is_sentence;

pub const TARGET: Target = Target {
    name: "privacy",
    check,
    words: &[
        "subject,purpose,text_version,given,expires,withdrawn,source\n",
        "email:ann@x.com",
        "ip:203.0.113.4",
        "phone:+49170123456",
        "user_id:5",
        "name:Ann Lee",
        "2026-01-01",
        "+262142-12-31",
        "-0001-01-01",
        "'=",
        "'-",
        "'\t",
        "\"\"",
        "\",\"",
        ";=1+1;",
        "yes",
        "no",
        "name,controller,purposes,legal_basis,subject_categories,data_categories,\
         recipients,transfers,retention,security,ended\n",
    ],
    more: nothing,
    runs: 2500,
};

fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match consent::import(&text, 7) {
        Ok(all) => {
            let out = consent::export(&all);
            assert_eq!(consent::import(&out, 7).unwrap(), all);
        }
        Err(e) => is_sentence(&e.to_string()),
    }
    match activity::import(&text, 7) {
        Ok(all) => {
            let out = activity::export(&all);
            assert_eq!(activity::import(&out, 7).unwrap(), all);
        }
        Err(e) => is_sentence(&e.to_string()),
    }
}
