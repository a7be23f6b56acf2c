//! The record of processing activities (GDPR Art. 30(1)).

use serde::{Deserialize, Serialize};
use specta::Type;

use crate::{Refused, csv_table, said};

/// One activity, as Art. 30(1) has it described.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Activity {
    pub number: u64,
    pub version: u64,
    pub name: String,
    /// (a) The controller and its contacts.
    pub controller: String,
    /// (b)
    pub purposes: String,
    /// Art. 6: on which basis.
    pub legal_basis: String,
    /// (c)
    pub subject_categories: String,
    pub data_categories: String,
    /// (d)
    pub recipients: String,
    /// (e) To third countries, with the safeguards.
    pub transfers: String,
    /// (f)
    pub retention: String,
    /// (g)
    pub security: String,
    /// It is no longer done; it stays in the record.
    pub ended: bool,
}

const COLUMNS: [&str; 11] = [
    "name",
    "controller",
    "purposes",
    "legal_basis",
    "subject_categories",
    "data_categories",
    "recipients",
    "transfers",
    "retention",
    "security",
    "ended",
];

impl Activity {
    /// # Errors
    /// Without a name, a controller, purposes, and whose and what data it is.
    pub fn check(&self) -> Result<(), Refused> {
        for (text, what) in [
            (&self.name, "the name of the activity"),
            (&self.controller, "the controller (a)"),
            (&self.purposes, "the purposes (b)"),
            (&self.subject_categories, "the categories of data subjects (c)"),
            (&self.data_categories, "the categories of personal data (c)"),
        ] {
            said(text, what)?;
        }
        Ok(())
    }
}

/// Numbered on from `first`.
pub fn import(text: &str, first: u64) -> Result<Vec<Activity>, Refused> {
    let mut number = first;
    csv_table::read(text, &COLUMNS, |row| {
        let t = |c| row.text(c).to_owned();
        let activity = Activity {
            number,
            version: 1,
            name: t("name"),
            controller: t("controller"),
            purposes: t("purposes"),
            legal_basis: t("legal_basis"),
            subject_categories: t("subject_categories"),
            data_categories: t("data_categories"),
            recipients: t("recipients"),
            transfers: t("transfers"),
            retention: t("retention"),
            security: t("security"),
            ended: match row.text("ended") {
                "" | "no" => false,
                "yes" => true,
                other => return Refused::because(format!("ended: '{other}' is neither yes nor no")),
            },
        };
        activity.check()?;
        number += 1;
        Ok(activity)
    })
}

pub fn export(activities: &[Activity]) -> String {
    csv_table::write(
        &COLUMNS,
        activities.iter().map(|a| {
            [
                &a.name,
                &a.controller,
                &a.purposes,
                &a.legal_basis,
                &a.subject_categories,
                &a.data_categories,
                &a.recipients,
                &a.transfers,
                &a.retention,
                &a.security,
            ]
            .into_iter()
            .cloned()
            .chain([if a.ended { "yes" } else { "no" }.to_owned()])
            .collect()
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_survives_the_way_through_a_spreadsheet() {
        let a = Activity {
            number: 3,
            version: 1,
            name: "Security monitoring, \"live\"".into(),
            controller: "Shop GmbH".into(),
            purposes: "Art. 32\nsecurity".into(),
            subject_categories: "customers".into(),
            data_categories: "-addresses".into(),
            ..Activity::default()
        };
        assert_eq!(import(&export(std::slice::from_ref(&a)), 3).unwrap(), vec![a.clone()]);
        let e = import(&export(&[Activity { purposes: " ".into(), ..a }]), 1).unwrap_err();
        assert!(e.to_string().contains("purposes (b)"), "{e}");
    }
}
