//! Feeds a target.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::mutate::{Random, mutated};
use crate::{Target, corpus};

/// A promise was broken.
#[derive(Debug)]
pub struct Broken {
    /// The file of the corpus, or the number of the mutation.
    pub by: String,
    pub input: Vec<u8>,
    pub said: String,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = self.input[..self.input.len().min(2000)].escape_ascii();
        write!(f, "{}: {}\n{} bytes: {shown}", self.by, self.said, self.input.len())
    }
}

/// The corpus, then mutations of it for as long as `goes_on` says; it is given the number of the next one. `before`
/// hears each input before it is tried: one that ends the process can be told by that.
///
/// # Errors
/// The first input that broke a promise.
pub fn fuzz(
    target: &Target,
    seed: u64,
    mut goes_on: impl FnMut(u64) -> bool,
    mut before: impl FnMut(&[u8]),
) -> Result<u64, Broken> {
    let inputs = corpus::inputs(target);
    for (name, input) in &inputs {
        before(input);
        attempt(target, input).map_err(|said| Broken { by: name.clone(), input: input.clone(), said })?;
    }
    let mut random = Random::new(seed);
    let mut run = 0;
    while goes_on(run) {
        let (one, other) = (&inputs[random.below(inputs.len())].1, &inputs[random.below(inputs.len())].1);
        let input = mutated(one, other, target.words, &mut random);
        before(&input);
        if let Err(said) = attempt(target, &input) {
            return Err(Broken { by: format!("mutation {run} of seed {seed}"), input, said });
        }
        run += 1;
    }
    Ok(run)
}

fn attempt(target: &Target, input: &[u8]) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| (target.check)(input))).map_err(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
    })
}
