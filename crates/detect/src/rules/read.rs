//! Rule files: split into documents, checked for what they may not hold, and read.

use rsigma_parser::{CorrelationRule, parse_sigma_yaml};

use super::build::{about, detection};
use super::values::Budget;
use super::{About, Detection, Place, RuleProblem, RuleSource, yaml};

/// Larger rule files are refused: the largest of the public corpora is 40 KiB.
const FILE_LIMIT: usize = 1 << 20;
/// All files together; the largest public corpus is 10 MiB.
const TEXT_LIMIT: usize = 64 << 20;
/// All rules together; the largest public corpus has 4,000.
const RULE_LIMIT: usize = 20_000;

/// What was read so far, and what may still be.
#[derive(Default)]
pub(super) struct Reader {
    pub detections: Vec<(Detection, Place)>,
    pub correlations: Vec<(CorrelationRule, About, Place)>,
    pub problems: Vec<RuleProblem>,
    budget: Budget,
    bytes: usize,
    full: bool,
}

impl Reader {
    pub fn read(&mut self, source: &RuleSource) {
        let whole = Place { file: source.path.clone(), line: 1 };
        if source.text.len() > FILE_LIMIT {
            self.problems.push(whole.problem(format!("the file is larger than {FILE_LIMIT} bytes")));
            return;
        }
        self.bytes += source.text.len();
        if self.bytes > TEXT_LIMIT {
            self.problems.push(whole.problem(format!("all rule files together are larger than {TEXT_LIMIT} bytes")));
            return;
        }
        let before = self.count() + self.problems.len();
        for (line, text) in documents(&source.text) {
            self.document(&Place { file: source.path.clone(), line }, text);
        }
        if self.count() + self.problems.len() == before && !self.full {
            self.problems.push(whole.problem("no rule in this file"));
        }
    }

    fn count(&self) -> usize {
        self.detections.len() + self.correlations.len()
    }

    fn document(&mut self, place: &Place, text: &str) {
        if let Some(found) = yaml::forbidden(text) {
            let reason = format!("{} of YAML: rules may hold no anchor, alias, tag or directive", found.what);
            let line = place.line + found.line - 1;
            self.problems.push(RuleProblem { file: place.file.clone(), line, reason });
            return;
        }
        let parsed = match parse_sigma_yaml(text) {
            Ok(parsed) => parsed,
            Err(e) => {
                self.problems.push(problem_at(place, &e.to_string()));
                return;
            }
        };
        self.problems.extend(parsed.errors.iter().map(|e| problem_at(place, e)));
        if !parsed.filters.is_empty() {
            self.problems.push(place.problem("Sigma filters are not supported"));
        }
        for rule in parsed.rules {
            if self.has_room(place) {
                match detection(rule, &mut self.budget) {
                    Ok(d) => self.detections.push((d, place.clone())),
                    Err(reason) => self.problems.push(place.problem(reason)),
                }
            }
        }
        for rule in parsed.correlations {
            if self.has_room(place) {
                match about(
                    &rule.title,
                    &rule.id,
                    &rule.name,
                    &rule.author,
                    &rule.custom_attributes,
                    rule.group_by.first(),
                ) {
                    Ok(about) => self.correlations.push((rule, about, place.clone())),
                    Err(reason) => self.problems.push(place.problem(reason)),
                }
            }
        }
    }

    fn has_room(&mut self, place: &Place) -> bool {
        if self.count() < RULE_LIMIT {
            return true;
        }
        if !self.full {
            self.full = true;
            let reason = format!("more than {RULE_LIMIT} rules: this one is not used, nor are those after it");
            self.problems.push(place.problem(reason));
        }
        false
    }
}

/// Splits a stream at `---` lines, so that each document knows its line and one that is not YAML spares the others. A
/// file that uses collection actions (`action: global`) needs its documents together and is read whole.
fn documents(text: &str) -> Vec<(usize, &str)> {
    if text.lines().any(|l| l.starts_with("action:")) {
        return vec![(1, text)];
    }
    let mut out = Vec::new();
    let (mut start, mut start_line, mut at) = (0, 1, 0);
    for (i, line) in text.split_inclusive('\n').enumerate() {
        if line.trim_end() == "---" {
            out.push((start_line, &text[start..at]));
            start = at + line.len();
            start_line = i + 2;
        }
        at += line.len();
    }
    out.push((start_line, &text[start..]));
    out.retain(|(_, t)| t.lines().any(|l| !l.trim().is_empty() && !l.trim_start().starts_with('#')));
    for (line, t) in &mut out {
        let blank = t.lines().take_while(|l| l.trim().is_empty() || l.starts_with('#')).count();
        *line += blank;
        *t = t.splitn(blank + 1, '\n').last().unwrap_or(t);
    }
    out
}

/// The reader's own line, where its message has one, counted from the start of the file.
fn problem_at(place: &Place, message: &str) -> RuleProblem {
    let inner = message
        .split_once("at line ")
        .and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<usize>().ok());
    // The number may be one that the file itself wrote into the message.
    let line = place.line.saturating_add(inner.unwrap_or(1).saturating_sub(1));
    place.problem_at(line, message.trim_start_matches("YAML parse error: "))
}
