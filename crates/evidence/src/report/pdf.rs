//! Setting a [`Document`] with Typst: one template, the data beside it as JSON. No string of the data is ever read as
//! markup (threat T6), nothing is read from disk or network, fonts are in the program.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use typst::diag::{FileError, FileResult};
use typst::foundations::{Bytes, Datetime, Duration, Smart};
use typst::syntax::{FileId, RootedPath, Source, VirtualPath, VirtualRoot};
use typst::text::{Font, FontBook};
use typst::utils::LazyHash;
use typst::{Library, LibraryExt as _, World};
use typst_layout::PagedDocument;

use super::{Block, Document};

const TEMPLATE: &str = include_str!("template.typ");
const FONTS: [&[u8]; 3] = [
    include_bytes!("../../fonts/Inter-Regular.otf"),
    include_bytes!("../../fonts/Inter-SemiBold.otf"),
    include_bytes!("../../fonts/JetBrainsMono-Regular.ttf"),
];
/// Pages shown before a report is kept.
const PREVIEW: usize = 60;

/// Why there is no PDF.
#[derive(Debug, thiserror::Error)]
#[error("the report could not be set: {0}")]
pub struct SetError(String);

struct Fixed {
    library: LazyHash<Library>,
    book: LazyHash<FontBook>,
    fonts: Vec<Font>,
}

fn fixed() -> Arc<Fixed> {
    static FIXED: OnceLock<Arc<Fixed>> = OnceLock::new();
    FIXED
        .get_or_init(|| {
            let fonts: Vec<Font> = FONTS.iter().flat_map(|f| Font::iter(Bytes::new(*f))).collect();
            let mut book = FontBook::new();
            fonts.iter().for_each(|f| book.push(f.info().clone()));
            Arc::new(Fixed { library: LazyHash::new(Library::builder().build()), book: LazyHash::new(book), fonts })
        })
        .clone()
}

/// Everything the template can see.
struct Sheet {
    fixed: Arc<Fixed>,
    main: Source,
    files: HashMap<FileId, Bytes>,
}

fn id(name: &str) -> Result<FileId, SetError> {
    let path = VirtualPath::new(name).map_err(|e| SetError(format!("{name}: {e:?}")))?;
    Ok(FileId::new(RootedPath::new(VirtualRoot::Project, path)))
}

impl World for Sheet {
    fn library(&self) -> &LazyHash<Library> {
        &self.fixed.library
    }

    fn book(&self) -> &LazyHash<FontBook> {
        &self.fixed.book
    }

    fn main(&self) -> FileId {
        self.main.id()
    }

    fn source(&self, id: FileId) -> FileResult<Source> {
        if id == self.main.id() { Ok(self.main.clone()) } else { Err(FileError::AccessDenied) }
    }

    fn file(&self, id: FileId) -> FileResult<Bytes> {
        self.files.get(&id).cloned().ok_or(FileError::AccessDenied)
    }

    fn font(&self, index: usize) -> Option<Font> {
        self.fixed.fonts.get(index).cloned()
    }

    fn today(&self, _: Option<Duration>) -> Option<Datetime> {
        // Dates are in the data.
        None
    }
}

fn set(document: &Document) -> Result<PagedDocument, SetError> {
    let mut files = HashMap::new();
    let data = serde_json::to_vec(&document.printed()).map_err(|e| SetError(e.to_string()))?;
    files.insert(id("data.json")?, Bytes::new(data));
    for b in &document.blocks {
        if let Block::Chart { file, svg, .. } = b {
            files.insert(id(file)?, Bytes::from_string(svg.clone()));
        }
    }
    let sheet = Sheet { fixed: fixed(), main: Source::new(id("main.typ")?, TEMPLATE.to_owned()), files };
    let set = typst::compile::<PagedDocument>(&sheet);
    // Nothing of it is set again: what was remembered for that goes.
    typst::comemo::evict(0);
    set.output.map_err(|errors| SetError(errors.iter().map(|e| e.message.to_string()).collect::<Vec<_>>().join("; ")))
}

/// The PDF.
pub fn pdf(document: &Document) -> Result<Vec<u8>, SetError> {
    let pages = set(document)?;
    let options =
        typst_pdf::PdfOptions { creator: Smart::Custom(Some("Watchfloor".into())), ..typst_pdf::PdfOptions::default() };
    typst_pdf::pdf(&pages, &options)
        .map_err(|errors| SetError(errors.iter().map(|e| e.message.to_string()).collect::<Vec<_>>().join("; ")))
}

/// The first pages as SVG pictures, and how many there are.
pub fn preview(document: &Document) -> Result<(Vec<String>, usize), SetError> {
    let pages = set(document)?;
    let options = typst_svg::SvgOptions::default();
    Ok((pages.pages().iter().take(PREVIEW).map(|p| typst_svg::svg(p, &options)).collect(), pages.pages().len()))
}
