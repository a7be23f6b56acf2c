//! Charts, as SVG for paper: few lines, direct labels, colours that differ in grey as well.

const INK: &str = "#141a22";
const DIM: &str = "#566373";
const LINE: &str = "#dfe5ec";
/// P1 to P4 as on the light ground of the window.
pub const SEVERITY: [&str; 4] = ["#c9252b", "#e08a2c", "#d9c257", "#a9bfd9"];
pub const ACCENT: &str = "#1f66d6";
pub const SECOND: &str = "#8a94a3";

const WIDTH: f64 = 720.0;

/// One row of values over the labels.
#[derive(Clone, Debug)]
pub struct Series {
    pub name: String,
    pub colour: &'static str,
    /// `None`: there is no value.
    pub values: Vec<Option<f64>>,
}

fn text(out: &mut String, x: f64, y: f64, size: f64, colour: &str, anchor: &str, t: &str) {
    let mut safe = String::new();
    for c in wf_model::text::visible(t).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            c => safe.push(c),
        }
    }
    out.push_str(&format!(r#"<text x="{x:.1}" y="{y:.1}" font-family="Inter" font-size="{size}" fill="{colour}" text-anchor="{anchor}">{safe}</text>"#));
}

fn begin(height: f64) -> String {
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}">"#
    )
}

/// As [`nice`], for things that are counted: no half of one.
fn nice_counts(n: f64) -> (f64, f64) {
    let (_, step) = nice(n);
    let step = step.ceil().max(1.0);
    ((n / step).ceil().max(1.0) * step, step)
}

/// A round number at or above `n`, and the step of its grid.
fn nice(n: f64) -> (f64, f64) {
    let n = n.max(1e-9);
    let base = 10f64.powf(n.log10().floor());
    let step = [0.25, 0.5, 1.0, 2.5].into_iter().map(|m| m * base).find(|s| n / s <= 4.0).unwrap_or(base);
    ((n / step).ceil() * step, step)
}

fn said(n: f64) -> String {
    if n >= 10_000.0 {
        let thousands = n / 1000.0;
        return if thousands >= 10_000.0 {
            format!("{:.1} M", n / 1e6)
        } else if thousands.fract() == 0.0 {
            format!("{thousands:.0} k")
        } else {
            format!("{thousands:.1} k")
        };
    }
    if n >= 10.0 || n.fract() == 0.0 {
        format!("{n:.0}")
    } else {
        format!("{n:.1}").trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

fn legend(out: &mut String, series: &[Series]) {
    let mut x = 44.0;
    for s in series {
        out.push_str(&format!(r#"<rect x="{x:.1}" y="6" width="10" height="10" rx="2" fill="{}"/>"#, s.colour));
        text(out, x + 15.0, 15.0, 11.0, DIM, "start", &s.name);
        x += 15.0 + 6.6 * s.name.chars().count() as f64 + 18.0;
    }
}

fn grid(out: &mut String, top: f64, bottom: f64, most: f64, step: f64, unit: &str) {
    let mut v = 0.0;
    while v <= most + step / 2.0 {
        let y = bottom - v / most * (bottom - top);
        out.push_str(&format!(r#"<path d="M44 {y:.1}H{:.1}" stroke="{LINE}" stroke-width="1"/>"#, WIDTH - 6.0));
        text(
            out,
            38.0,
            y + 3.5,
            10.0,
            DIM,
            "end",
            &if v == 0.0 { "0".to_owned() } else { format!("{}{unit}", said(v)) },
        );
        v += step;
    }
}

fn labels(out: &mut String, all: &[String], slot: f64, y: f64) {
    // Not more than fit.
    let widest = all.iter().map(|l| l.chars().count()).max().unwrap_or(1) as f64 * 6.0 + 8.0;
    let every = (widest / slot).ceil().max(1.0) as usize;
    for (i, label) in all.iter().enumerate().step_by(every) {
        text(out, 44.0 + (i as f64 + 0.5) * slot, y, 10.0, DIM, "middle", label);
    }
}

/// Bars, one on the other.
pub fn stacked(all: &[String], series: &[Series], unit: &str) -> String {
    let (height, top, bottom) = (230.0, 30.0, 204.0);
    let mut out = begin(height);
    let sums: Vec<f64> =
        (0..all.len()).map(|i| series.iter().filter_map(|s| s.values.get(i).copied().flatten()).sum()).collect();
    let (most, step) = nice_counts(sums.iter().copied().fold(1.0, f64::max));
    grid(&mut out, top, bottom, most, step, unit);
    legend(&mut out, series);
    let slot = (WIDTH - 50.0) / all.len().max(1) as f64;
    let width = (slot * 0.72).min(46.0);
    for (i, sum) in sums.iter().enumerate() {
        let (x, mut y) = (44.0 + i as f64 * slot + (slot - width) / 2.0, bottom);
        for s in series {
            let h = s.values.get(i).copied().flatten().unwrap_or(0.0) / most * (bottom - top);
            if h > 0.0 {
                y -= h;
                out.push_str(&format!(
                    r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{h:.1}" fill="{}"/>"#,
                    s.colour
                ));
            }
        }
        if *sum > 0.0 && slot > 22.0 {
            text(&mut out, x + width / 2.0, y - 4.0, 10.0, INK, "middle", &said(*sum));
        }
    }
    labels(&mut out, all, slot, bottom + 16.0);
    out.push_str("</svg>");
    out
}

/// Lines over time; a missing value is a hole.
pub fn lines(all: &[String], series: &[Series], unit: &str) -> String {
    let (height, top, bottom) = (210.0, 30.0, 184.0);
    let mut out = begin(height);
    let values = || series.iter().flat_map(|s| s.values.iter().flatten()).copied();
    let (most, step) = if values().all(|v| v.fract() == 0.0) {
        nice_counts(values().fold(1.0, f64::max))
    } else {
        nice(values().fold(1.0, f64::max))
    };
    grid(&mut out, top, bottom, most, step, unit);
    legend(&mut out, series);
    let slot = (WIDTH - 50.0) / all.len().max(1) as f64;
    for s in series {
        let (mut path, mut open) = (String::new(), false);
        for (i, v) in s.values.iter().enumerate() {
            let Some(v) = v else {
                open = false;
                continue;
            };
            let (x, y) = (44.0 + (i as f64 + 0.5) * slot, bottom - v / most * (bottom - top));
            path.push_str(&format!("{}{x:.1} {y:.1}", if open { "L" } else { "M" }));
            open = true;
            out.push_str(&format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" fill="{}"/>"#, s.colour));
            if all.len() <= 14 {
                text(&mut out, x, y - 7.0, 9.5, INK, "middle", &format!("{}{unit}", said(*v)));
            }
        }
        out.push_str(&format!(
            r#"<path d="{path}" fill="none" stroke="{}" stroke-width="2" stroke-linejoin="round"/>"#,
            s.colour
        ));
    }
    labels(&mut out, all, slot, bottom + 16.0);
    out.push_str("</svg>");
    out
}

/// Bars that lie, the longest first as given: a name, a value, what is written behind it.
pub fn ranks(items: &[(String, f64, String)], most: Option<f64>) -> String {
    let height = items.len() as f64 * 24.0 + 8.0;
    let mut out = begin(height);
    let most = most.unwrap_or_else(|| items.iter().map(|i| i.1).fold(0.0, f64::max)).max(1e-9);
    for (i, (name, value, said)) in items.iter().enumerate() {
        let y = i as f64 * 24.0 + 4.0;
        let short: String =
            if name.chars().count() > 40 { name.chars().take(39).chain(['…']).collect() } else { name.clone() };
        text(&mut out, 236.0, y + 13.0, 11.0, INK, "end", &short);
        out.push_str(&format!(
            r#"<rect x="246" y="{:.1}" width="{:.1}" height="14" rx="2" fill="{ACCENT}"/>"#,
            y + 2.0,
            (value / most * 360.0).max(1.0)
        ));
        text(&mut out, 254.0 + (value / most * 360.0).max(1.0), y + 13.0, 11.0, DIM, "start", said);
    }
    out.push_str("</svg>");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_of_nothing_and_of_hostile_names_is_still_a_chart() {
        assert!(stacked(&[], &[], "").ends_with("</svg>"));
        let hostile = "</text><script>x</script>\u{202e}&";
        for svg in [
            ranks(&[(hostile.into(), 1.0, hostile.into())], None),
            lines(
                &[hostile.into()],
                &[Series { name: hostile.into(), colour: ACCENT, values: vec![None, Some(f64::MAX / 4.0)] }],
                "",
            ),
        ] {
            assert!(!svg.contains("<script") && !svg.contains('\u{202e}') && svg.ends_with("</svg>"), "{svg}");
        }
    }

    #[test]
    fn grids_end_on_round_numbers() {
        for (n, most) in [(1.0, 1.0), (7.0, 7.5), (93.0, 100.0), (1840.0, 2000.0), (0.4, 0.4)] {
            assert!((nice(n).0 - most).abs() < 1e-9 || nice(n).0 >= n, "{n}: {:?}", nice(n));
            assert!(nice(n).0 / nice(n).1 <= 4.01);
            let (most, step) = nice_counts(n);
            assert!(most >= n && step >= 1.0 && step.fract() == 0.0, "{n}: {most} {step}");
        }
    }
}
