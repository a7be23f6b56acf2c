//! What a restart keeps.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn totals(matches: &[Match]) -> BTreeMap<String, (u64, u64)> {
    let mut out: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for m in matches {
        let slot = out.entry(m.entity.as_ref().unwrap().value.clone()).or_default();
        slot.0 += m.count;
        slot.1 += u64::from(m.contribution == Contribution::Fired);
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_restart_anywhere_neither_forgets_nor_counts_twice(
        times in prop::collection::vec((0i64..1_500_000, 0u8..3), 2..100),
        snapshot_at in 0usize..100,
        crash_after in 0usize..100,
    ) {
        let mut times = times;
        times.sort_unstable();
        let failed = |(i, (t, g)): (usize, &(i64, u8))| failure(i as u64 + 1, *t, &format!("10.0.0.{g}"));
        let events: Vec<_> = times.iter().enumerate().map(failed).collect();
        let s = snapshot_at.min(events.len());
        let c = (s + crash_after).min(events.len());
        let mut straight = authentication();
        let expected: Vec<_> = events.iter().flat_map(|e| run(&mut straight, std::slice::from_ref(e))).collect();

        let mut first = authentication();
        let mut got: Vec<_> = events[..s].iter().flat_map(|e| run(&mut first, std::slice::from_ref(e))).collect();
        let kept = serde_json::to_string(&first.snapshot(Seq(s as u64))).unwrap();
        got.extend(events[s..c].iter().flat_map(|e| run(&mut first, std::slice::from_ref(e))));
        let mut second = authentication();
        second.restore(serde_json::from_str(&kept).unwrap());
        for e in &events[s..c] { run(&mut second, std::slice::from_ref(e)); }
        got.extend(events[c..].iter().flat_map(|e| run(&mut second, std::slice::from_ref(e))));
        prop_assert_eq!(totals(&got), totals(&expected));
    }
}
