//! Consents (GDPR Art. 7): that one was given, to what, and whether it still stands.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use specta::Type;

use crate::subject::Identifier;
use crate::words::word_enum;
use crate::{Refused, csv_table, said};

word_enum! {
    /// Whether a consent stands.
    Standing, "standing" {
        Valid = "valid",
        Expired = "expired",
        Withdrawn = "withdrawn",
        /// Given on a day that has not come yet.
        Future = "future",
    }
}

/// One consent of one subject to one purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Consent {
    pub number: u64,
    pub version: u64,
    pub subject: Identifier,
    pub purpose: String,
    /// Which text they agreed to.
    pub text_version: String,
    #[specta(type = String)]
    pub given: NaiveDate,
    /// The last day it stands.
    #[specta(type = Option<String>)]
    pub expires: Option<NaiveDate>,
    #[specta(type = Option<String>)]
    pub withdrawn: Option<NaiveDate>,
    /// How it was given: a form, a call.
    pub source: String,
}

const COLUMNS: [&str; 7] = ["subject", "purpose", "text_version", "given", "expires", "withdrawn", "source"];

impl Consent {
    pub fn new(
        number: u64,
        subject: Identifier,
        purpose: &str,
        text_version: &str,
        given: NaiveDate,
        expires: Option<NaiveDate>,
        source: &str,
    ) -> Result<Self, Refused> {
        if expires.is_some_and(|e| e < given) {
            return Refused::because("it cannot expire before it was given");
        }
        Ok(Self {
            number,
            version: 1,
            subject,
            purpose: said(purpose, "the purpose")?,
            text_version: said(text_version, "the version of the text")?,
            given,
            expires,
            withdrawn: None,
            source: source.trim().to_owned(),
        })
    }

    pub fn standing(&self, today: NaiveDate) -> Standing {
        match () {
            () if self.withdrawn.is_some_and(|d| d <= today) => Standing::Withdrawn,
            () if self.given > today => Standing::Future,
            () if self.expires.is_some_and(|d| d < today) => Standing::Expired,
            () => Standing::Valid,
        }
    }

    /// As easy as giving it (Art. 7(3)).
    pub fn withdraw(&self, on: NaiveDate) -> Result<Self, Refused> {
        if let Some(day) = self.withdrawn {
            return Refused::because(format!("it was withdrawn on {day}"));
        }
        if on < self.given {
            return Refused::because("it cannot be withdrawn before it was given");
        }
        Ok(Self { version: self.version + 1, withdrawn: Some(on), ..self.clone() })
    }
}

/// `subject,purpose,text_version,given,expires,withdrawn,source`; numbered on from `first`.
pub fn import(text: &str, first: u64) -> Result<Vec<Consent>, Refused> {
    let mut number = first;
    csv_table::read(text, &COLUMNS, |row| {
        let given = row.day("given")?.ok_or_else(|| Refused("given: the day is missing".into()))?;
        let mut c = Consent::new(
            number,
            Identifier::parse(row.text("subject"))?,
            row.text("purpose"),
            row.text("text_version"),
            given,
            row.day("expires")?,
            row.text("source"),
        )?;
        if let Some(day) = row.day("withdrawn")? {
            c = Consent { version: 1, ..c.withdraw(day)? };
        }
        number += 1;
        Ok(c)
    })
}

pub fn export(consents: &[Consent]) -> String {
    let day = |d: Option<NaiveDate>| d.map(|d| d.to_string()).unwrap_or_default();
    csv_table::write(
        &COLUMNS,
        consents.iter().map(|c| {
            vec![
                c.subject.to_string(),
                c.purpose.clone(),
                c.text_version.clone(),
                c.given.to_string(),
                day(c.expires),
                day(c.withdrawn),
                c.source.clone(),
            ]
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "subject,purpose,text_version,given,expires,withdrawn,source\nemail:ann@x.com,newsletter,v2,2026-01-01,2026-12-31,,form\n\"name:Bob \"\"=1\"\" Lee\",analytics,v1,2025-01-01,,2025-06-01,\"'=cmd|x\"\n";

    #[test]
    fn a_list_survives_the_way_through_a_spreadsheet_and_holds_no_formula() {
        let all = import(LIST, 7).unwrap();
        assert_eq!((all[0].number, all[1].number, all[1].source.as_str()), (7, 8, "=cmd|x"));
        let again = export(&all);
        assert!(again.contains("'=cmd|x"), "{again}");
        assert_eq!(import(&again, 7).unwrap(), all);
    }

    #[test]
    fn a_consent_stands_until_its_last_day_or_until_it_is_withdrawn() {
        let day = |t: &str| t.parse().unwrap();
        let c = &import(LIST, 1).unwrap()[0];
        for (today, standing) in [
            ("2025-12-31", Standing::Future),
            ("2026-01-01", Standing::Valid),
            ("2026-12-31", Standing::Valid),
            ("2027-01-01", Standing::Expired),
        ] {
            assert_eq!(c.standing(day(today)), standing, "{today}");
        }
        let w = c.withdraw(day("2026-05-05")).unwrap();
        assert_eq!(
            (w.standing(day("2026-05-04")), w.standing(day("2026-05-05"))),
            (Standing::Valid, Standing::Withdrawn)
        );
        assert!(w.withdraw(day("2026-05-06")).is_err() && c.withdraw(day("2025-05-06")).is_err());
    }

    #[test]
    fn a_wrong_list_is_refused_whole_with_the_line() {
        for (text, expected) in [
            ("", "first line"),
            ("a,b\n", "first line must be"),
            (&LIST.replace("2026-01-01", "1.1.2026"), "line 2: given"),
            (&LIST.replace("2025-06-01", "2024-06-01"), "line 3: it cannot be withdrawn"),
            (&LIST.replace("newsletter", ""), "line 2: the purpose"),
            (&format!("{LIST}x\n"), "line"),
        ] {
            let e = import(text, 1).unwrap_err().to_string();
            assert!(e.to_lowercase().contains(expected), "{text}: {e}");
        }
    }
}
