//! Reports: typed data becomes a PDF, tables for a spreadsheet, and a signed pack.
//!
//! - [`Document`] is what a report says: figures, tables, charts, in order. It holds text, never markup.
//! - [`pdf`] sets it with Typst from that data; [`csv`] writes its tables.
//! - [`chart`] draws.
//! - [`pack`] puts everything into one file that proves itself.
//!
//! A new kind of report is a new function in `app` that builds a [`Document`].

pub mod chart;
pub mod csv;
pub mod pack;
pub mod pdf;

use serde::Serialize;
use wf_model::text::visible;

/// A report, as it is said.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Document {
    /// `GDPR compliance report`
    pub title: String,
    /// What it covers, in a line.
    pub subtitle: String,
    pub organisation: String,
    /// Pairs for the cover: period, made at, made by, zone.
    pub facts: Vec<(String, String)>,
    /// The state of the audit log when it was made.
    pub checkpoint: Checkpoint,
    pub blocks: Vec<Block>,
}

/// What binds a report to the audit log: whoever keeps the report keeps an anchor.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Checkpoint {
    pub origin: String,
    pub size: u64,
    /// Base64.
    pub root: String,
    /// SHA-256 of the public key, in hex groups.
    pub key: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Block {
    Heading {
        text: String,
    },
    Text {
        text: String,
    },
    /// Large numbers with what they mean.
    Figures {
        items: Vec<Figure>,
    },
    /// Names and texts, as of a form.
    Pairs {
        items: Vec<(String, String)>,
    },
    Chart {
        caption: String,
        file: String,
        #[serde(skip)]
        svg: String,
    },
    Table(Table),
    /// How numbers were counted.
    Formulas {
        items: Vec<(String, String)>,
    },
    PageBreak,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    pub label: String,
    pub value: String,
    pub note: String,
    /// It needs somebody.
    pub bad: bool,
}

impl Figure {
    pub fn new(label: &str, value: impl ToString, note: impl Into<String>, bad: bool) -> Self {
        Self { label: label.to_owned(), value: value.to_string(), note: note.into(), bad }
    }
}

/// A table: all of it in the CSV, its beginning on paper.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Table {
    /// The name of its file.
    pub id: String,
    pub caption: String,
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<String>>,
    /// Rows on paper.
    pub shown: usize,
    /// What is said when there are no rows.
    pub empty: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Column {
    pub title: String,
    /// Its share of the width; 0: as wide as it needs.
    pub width: f64,
    pub right: bool,
}

impl Column {
    pub fn new(title: &str, width: f64) -> Self {
        Self { title: title.to_owned(), width, right: false }
    }

    pub fn number(title: &str) -> Self {
        Self { title: title.to_owned(), width: 0.0, right: true }
    }
}

impl Document {
    pub fn heading(&mut self, text: &str) {
        self.blocks.push(Block::Heading { text: text.to_owned() });
    }

    pub fn text(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Text { text: text.into() });
    }

    pub fn figures(&mut self, items: Vec<Figure>) {
        self.blocks.push(Block::Figures { items });
    }

    pub fn pairs(&mut self, items: Vec<(&str, String)>) {
        self.blocks.push(Block::Pairs { items: items.into_iter().map(|(k, v)| (k.to_owned(), v)).collect() });
    }

    pub fn chart(&mut self, caption: &str, svg: String) {
        let file = format!("chart-{}.svg", self.blocks.len());
        self.blocks.push(Block::Chart { caption: caption.to_owned(), file, svg });
    }

    pub fn table(
        &mut self,
        id: &str,
        caption: &str,
        columns: Vec<Column>,
        rows: Vec<Vec<String>>,
        shown: usize,
        empty: &str,
    ) {
        self.blocks.push(Block::Table(Table {
            id: id.to_owned(),
            caption: caption.to_owned(),
            columns,
            rows,
            shown,
            empty: empty.to_owned(),
        }));
    }

    pub fn tables(&self) -> impl Iterator<Item = &Table> {
        self.blocks.iter().filter_map(|b| if let Block::Table(t) = b { Some(t) } else { None })
    }

    /// Every text goes through `change`: what stands for a person is left out.
    pub fn map_texts(&mut self, change: &dyn Fn(&str) -> Option<String>) {
        let put = |t: &mut String| {
            if let Some(new) = change(t) {
                *t = new;
            }
        };
        for b in &mut self.blocks {
            match b {
                Block::Heading { text } | Block::Text { text } => put(text),
                Block::Figures { items } => items.iter_mut().for_each(|f| put(&mut f.note)),
                Block::Pairs { items } | Block::Formulas { items } => items.iter_mut().for_each(|(_, v)| put(v)),
                Block::Table(t) => t.rows.iter_mut().flatten().for_each(put),
                Block::Chart { svg, .. } => put(svg),
                Block::PageBreak => {}
            }
        }
        put(&mut self.subtitle);
    }

    /// As it is printed: tables cut to what is shown, and nothing hidden in a text (threat T4).
    fn printed(&self) -> Self {
        let mut d = self.clone();
        let lines = |t: &mut String| *t = t.split('\n').map(|l| visible(l).into_owned()).collect::<Vec<_>>().join("\n");
        for b in &mut d.blocks {
            match b {
                Block::Heading { text } | Block::Text { text } => lines(text),
                Block::Figures { items } => items.iter_mut().for_each(|f| {
                    lines(&mut f.value);
                    lines(&mut f.note);
                }),
                Block::Pairs { items } | Block::Formulas { items } => items.iter_mut().for_each(|(_, v)| lines(v)),
                Block::Table(t) => {
                    let more = t.rows.len().saturating_sub(t.shown);
                    t.rows.truncate(t.shown);
                    t.rows.iter_mut().flatten().for_each(|c| *c = visible(c).chars().take(600).collect());
                    if more > 0 {
                        t.caption = format!(
                            "{} The first {} of {}; all of them are in {}.csv.",
                            t.caption,
                            t.shown,
                            t.shown + more,
                            t.id
                        );
                    }
                }
                Block::Chart { .. } | Block::PageBreak => {}
            }
        }
        lines(&mut d.subtitle);
        lines(&mut d.organisation);
        d.facts.iter_mut().for_each(|(_, v)| lines(v));
        d
    }
}
