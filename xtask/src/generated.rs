//! What is committed and made from the code: the page's bindings, the reference of the settings, the checked queries.

use crate::process::{Outcome, cargo_command, root, run, sh};
use crate::setup;

pub fn bindings() -> Outcome {
    setup::to_build()?;
    run(cargo_command(&["test", "-q", "-p", "watchfloor", "bindings"]).env("WATCHFLOOR_WRITE_BINDINGS", "1"))
}

pub fn reference() -> Outcome {
    run(cargo_command(&["test", "-q", "-p", "wf-config", "config_reference"]).env("WATCHFLOOR_WRITE_REFERENCE", "1"))
}

/// The macros ask a plain database made from the migrations, and leave what they learned in `.sqlx`.
pub fn queries() -> Outcome {
    setup::packages(&["sqlite3"])?;
    let (sqlx, database) = (root().join(".sqlx"), root().join("target/queries.db"));
    for path in [&sqlx, &database] {
        let gone = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        if let Err(e) = gone
            && e.kind() != std::io::ErrorKind::NotFound
        {
            return Err(format!("{}: {e}", path.display()));
        }
    }
    std::fs::create_dir_all(&sqlx).map_err(|e| e.to_string())?;
    std::fs::create_dir_all(root().join("target")).map_err(|e| e.to_string())?;
    let mut migrations: Vec<_> =
        std::fs::read_dir(root().join("migrations")).map_err(|e| e.to_string())?.flatten().map(|e| e.path()).collect();
    migrations.sort();
    for migration in migrations {
        let read = format!(".read {}", migration.display());
        sh(&root(), "sqlite3", &[&database.to_string_lossy(), &read])?;
    }
    let lib = root().join("crates/store/src/lib.rs");
    let text = std::fs::read(&lib).map_err(|e| e.to_string())?;
    // Written anew, unchanged, so that the crate is compiled again and every query asked.
    std::fs::write(&lib, text).map_err(|e| e.to_string())?;
    run(cargo_command(&["check", "-p", "wf-store"])
        .env_remove("SQLX_OFFLINE")
        .env("DATABASE_URL", format!("sqlite://{}", database.display()))
        .env("SQLX_OFFLINE_DIR", &sqlx))
}
