//! The values of a detection before they are compiled: what the engine would get wrong is put right or refused, and
//! what would cost too much is counted.

use regex::RegexBuilder;
use rsigma_parser::{Detection, DetectionItem, Modifier, SigmaRule, SigmaString, SigmaValue};

/// Compiled sizes that are told apart, smallest first: an expression is charged the first that it fits. One that fits
/// none is refused.
const SIZES: [usize; 3] = [64 << 10, 512 << 10, 4 << 20];
/// What all expressions together may be charged.
const EXPRESSIONS: usize = 96 << 20;
/// `|windash` makes five texts of each dash; all rules together may make this many.
const DASHED: usize = 500_000;

/// What may stand beside `|base64offset`.
const BESIDE_OFFSET: [Modifier; 7] = [
    Modifier::Base64Offset,
    Modifier::Contains,
    Modifier::All,
    Modifier::Cased,
    Modifier::Wide,
    Modifier::Utf16,
    Modifier::Utf16be,
];

/// What rules may still cost, all together (threat T10).
pub(super) struct Budget {
    expressions: usize,
    dashed: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { expressions: EXPRESSIONS, dashed: DASHED }
    }
}

/// Makes a rule's values fit for the engine, or says what is wrong with them.
pub(super) fn prepare(rule: &mut SigmaRule, budget: &mut Budget) -> Result<(), String> {
    rule.detection.named.values_mut().try_for_each(|d| detection(d, budget))
}

fn detection(d: &mut Detection, budget: &mut Budget) -> Result<(), String> {
    match d {
        Detection::AllOf(items) => {
            for item in items.iter() {
                check(item, budget)?;
            }
            if items.iter().any(|i| i.field.has_modifier(Modifier::Base64Offset)) {
                let old = std::mem::take(items);
                for item in old {
                    items.extend(at_any_offset(item)?);
                }
            }
            Ok(())
        }
        Detection::AnyOf(all) | Detection::And(all) => all.iter_mut().try_for_each(|d| detection(d, budget)),
        Detection::ArrayMatch { body, .. } => detection(body, budget),
        Detection::Conditional { named, .. } => named.values_mut().try_for_each(|d| detection(d, budget)),
        Detection::Keywords(_) => Ok(()),
    }
}

fn check(item: &DetectionItem, budget: &mut Budget) -> Result<(), String> {
    let field = item.field.name.as_deref().unwrap_or("keywords");
    for value in &item.values {
        let SigmaValue::String(s) = value else { continue };
        if item.field.has_modifier(Modifier::Expand)
            && let Some(name) = placeholder(&s.original)
        {
            return Err(format!(
                "{field}: nothing defines the placeholder %{name}% of |expand, so it would never match; write its \
                 values out"
            ));
        }
        if item.field.has_modifier(Modifier::Re) {
            let size = SIZES.iter().find(|size| fits(&s.original, **size));
            // A wrong expression fits none of them either: the engine says what is wrong with it.
            let size = size.copied().or_else(|| is_no_expression(&s.original).then_some(0));
            let size = size.ok_or_else(|| format!("{field}: the regular expression takes more than 4 MiB"))?;
            budget.expressions =
                budget.expressions.checked_sub(size).ok_or("all regular expressions together take too much memory")?;
        }
        if item.field.has_modifier(Modifier::WindAsh) {
            let dashes = s.original.matches('-').count();
            let texts = u32::try_from(dashes).ok().and_then(|n| 5_usize.checked_pow(n)).unwrap_or(usize::MAX);
            budget.dashed =
                budget.dashed.checked_sub(texts).ok_or_else(|| format!("{field}: |windash makes too many values"))?;
        }
    }
    Ok(())
}

fn fits(pattern: &str, size: usize) -> bool {
    RegexBuilder::new(pattern).size_limit(size).build().is_ok()
}

fn is_no_expression(pattern: &str) -> bool {
    matches!(RegexBuilder::new(pattern).size_limit(SIZES[0]).build(), Err(regex::Error::Syntax(_)))
}

/// The first `%name%`.
fn placeholder(text: &str) -> Option<&str> {
    let rest = text.split_once('%')?.1;
    Some(rest.split_once('%')?.0).filter(|name| !name.is_empty())
}

/// `|base64offset` as plain `|contains`: the engine (0.23) keeps a last character that depends on what follows the
/// value, and so misses one alignment of three. With `|all` each value is an item of its own: all of the values, any
/// alignment of each.
fn at_any_offset(item: DetectionItem) -> Result<Vec<DetectionItem>, String> {
    if !item.field.has_modifier(Modifier::Base64Offset) {
        return Ok(vec![item]);
    }
    let has = |m| item.field.has_modifier(m);
    if let Some(other) = item.field.modifiers.iter().find(|m| !BESIDE_OFFSET.contains(*m)) {
        return Err(format!("|base64offset cannot be combined with {other:?}"));
    }
    let mut field = item.field.clone();
    field.modifiers = vec![Modifier::Contains];
    if has(Modifier::Cased) {
        field.modifiers.push(Modifier::Cased);
    }
    let mut by_value: Vec<Vec<SigmaValue>> = Vec::new();
    for value in &item.values {
        let text = match value {
            SigmaValue::String(s) => s.as_plain().unwrap_or_else(|| s.original.clone()),
            SigmaValue::Integer(_) | SigmaValue::Float(_) => value.to_string(),
            SigmaValue::Bool(_) | SigmaValue::Null => return Err("|base64offset needs text".into()),
        };
        let mut bytes = Vec::new();
        if has(Modifier::Utf16) {
            bytes.extend([0xff, 0xfe]);
        }
        if has(Modifier::Wide) || has(Modifier::Utf16) {
            bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        } else if has(Modifier::Utf16be) {
            bytes.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
        } else {
            bytes.extend(text.as_bytes());
        }
        if bytes.len() < 2 {
            return Err(format!("'{text}' is too short for |base64offset: no character of it is always the same"));
        }
        by_value
            .push((0..3).map(|offset| SigmaValue::String(SigmaString::from_raw(&encoded(&bytes, offset)))).collect());
    }
    let by_item: Vec<Vec<SigmaValue>> =
        if has(Modifier::All) { by_value } else { vec![by_value.into_iter().flatten().collect()] };
    Ok(by_item.into_iter().map(|values| DetectionItem { field: field.clone(), values }).collect())
}

/// The characters of `bytes` in Base64 that are the same whatever stands before and after, when they begin `offset`
/// bytes into a group of three.
fn encoded(bytes: &[u8], offset: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bit = |i: usize| usize::from((bytes[i / 8] >> (7 - i % 8)) & 1);
    let (first, end) = ((8 * offset).div_ceil(6), 8 * (offset + bytes.len()) / 6);
    (first..end)
        .map(|c| (6 * c..6 * c + 6).fold(0, |six, i| (six << 1) | bit(i - 8 * offset)))
        .map(|six| char::from(ALPHABET[six]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stable_part_of_base64_is_that_of_the_specification_for_each_alignment() {
        // `http` in `http…`, `xhttp…` and `xyhttp…`.
        assert_eq!([0, 1, 2].map(|o| encoded(b"http", o)), ["aHR0c", "h0dH", "odHRw"]);
        assert_eq!([0, 1, 2].map(|o| encoded(b"IEX", o)), ["SUVY", "lFW", "JRV"]);
    }

    #[test]
    fn a_placeholder_has_a_name() {
        assert_eq!(placeholder("C:\\%user%\\x"), Some("user"));
        assert_eq!((placeholder("100%"), placeholder("%%"), placeholder("x")), (None, None, None));
    }
}
