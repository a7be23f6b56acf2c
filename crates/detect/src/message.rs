//! The sentence of a rule: text, `{count}`, and `{field}` filled from the event that completed the match.

use wf_model::{Event, Message, Part};

use crate::who;

/// A parsed `message:` of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    Count,
    Field(String),
}

impl Template {
    /// Reads `{name}` as a field and `{count}` as the count; a brace without its partner is text.
    pub fn parse(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let Some(len) = rest[open..].find('}') else { break };
            let name = rest[open + 1..open + len].trim();
            if open > 0 {
                pieces.push(Piece::Text(rest[..open].to_owned()));
            }
            pieces.push(if name == "count" { Piece::Count } else { Piece::Field(name.to_owned()) });
            rest = &rest[open + len + 1..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Self(pieces)
    }

    /// Fills the fields in. What an event says is cut to 200 characters and never read as a template.
    pub fn render(&self, event: &Event) -> Message {
        Message(
            self.0
                .iter()
                .map(|p| match p {
                    Piece::Text(t) => Part::Text(t.clone()),
                    Piece::Count => Part::Count,
                    Piece::Field(name) => Part::Text(match who::stands_in(event, name) {
                        Some((_, v)) => v.to_string().chars().take(200).collect(),
                        None => "unknown".to_owned(),
                    }),
                })
                .collect(),
        )
    }
}
