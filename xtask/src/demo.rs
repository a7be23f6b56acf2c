//! The window on the demo feed.

use std::process::Command;

use crate::process::{Outcome, cargo, root, run, step};
use crate::{page, setup};

pub fn open() -> Outcome {
    setup::to_build()?;
    page::build()?;
    step("the console (the first build takes some minutes)");
    cargo(&["build", "-p", "watchfloor"])?;
    // The demo begins anew each time, with a key that lives as long as it: it needs no keychain, and leaves no secret
    // behind.
    let home = root().join("target/demo");
    if let Err(e) = std::fs::remove_dir_all(&home)
        && e.kind() != std::io::ErrorKind::NotFound
    {
        return Err(format!("{}: {e}", home.display()));
    }
    std::fs::create_dir_all(&home).map_err(|e| e.to_string())?;
    let key = passing_key();
    let store = if key.is_some() { "[store]\nkey = \"env:WATCHFLOOR_DEMO_KEY\"\n" } else { "" };
    let config = home.join("watchfloor.toml");
    std::fs::write(
        &config,
        format!(
            "# The demo's own settings; your console keeps its settings elsewhere.\n{store}[demo]\nenabled = true\n"
        ),
    )
    .map_err(|e| e.to_string())?;
    step("the window");
    let mut program = Command::new(root().join("target/debug/watchfloor"));
    program.env("WATCHFLOOR_DATA_DIR", home.join("data")).env("WATCHFLOOR_CONFIG", config);
    if let Some(key) = key {
        program.env("WATCHFLOOR_DEMO_KEY", key);
    }
    run(&mut program)
}

/// 64 hex digits from the system's randomness; without it the demo uses the keychain, as a console of one's own does.
fn passing_key() -> Option<String> {
    use std::io::Read as _;
    let mut bytes = [0u8; 32];
    std::fs::File::open("/dev/urandom").ok()?.read_exact(&mut bytes).ok()?;
    Some(bytes.iter().map(|b| format!("{b:02x}")).collect())
}
