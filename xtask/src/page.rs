//! The page that the window shows.

use crate::process::{Outcome, root, sh, step};

pub fn build() -> Outcome {
    step("the page");
    let ui = root().join("ui");
    sh(&ui, "npm", &["ci", "--ignore-scripts", "--no-fund", "--no-audit"])?;
    sh(&ui, "npx", &["--no-install", "vite", "build"])
}
