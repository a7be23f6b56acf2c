//! Every case says in its name why the law has it so. The days were held against an independent calendar of public
//! holidays.

use super::*;

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn due(country: Country, extra: &[&str], received: &str, months: u32, stops: &[(&str, &str)]) -> NaiveDate {
    let calendar = Calendar { country, extra: extra.iter().map(|t| day(t)).collect() };
    let pauses: Vec<Pause> = stops
        .iter()
        .map(|(from, until)| Pause { from: day(from), until: (!until.is_empty()).then(|| day(until)) })
        .collect();
    deadline(&calendar, day(received), months, &pauses, day("2026-03-20")).due
}

macro_rules! deadlines {
    ($($name:ident: $country:ident [$($extra:literal)*], $received:literal + $months:literal [$(($from:literal $until:literal))*] => $expected:literal;)*) => {
        $(#[test]
        fn $name() {
            assert_eq!(due(Country::$country, &[$($extra),*], $received, $months, &[$(($from, $until)),*]), day($expected));
        })*
    };
}

deadlines! {
    the_day_of_receipt_does_not_count_so_a_month_ends_on_the_same_number: None [], "2026-03-06" + 1 [] => "2026-04-06";
    received_on_the_first_ends_on_the_first_of_the_next_month: None [], "2026-06-01" + 1 [] => "2026-07-01";
    the_31st_of_january_ends_on_the_28th_of_february_which_has_no_31st: None [], "2025-01-31" + 1 [] => "2025-02-28";
    the_31st_of_january_ends_on_the_29th_of_february_in_a_leap_year: None [], "2024-01-31" + 1 [] => "2024-02-29";
    the_30th_of_january_ends_on_the_29th_of_february_in_a_leap_year: None [], "2024-01-30" + 1 [] => "2024-02-29";
    the_29th_of_january_ends_on_the_28th_of_february_in_a_common_year: None [], "2025-01-29" + 1 [] => "2025-02-28";
    the_28th_of_january_ends_on_the_28th_of_february: None [], "2025-01-28" + 1 [] => "2025-02-28";
    the_29th_of_february_ends_on_the_29th_of_march: None [], "2024-02-29" + 1 [] => "2024-03-29";
    the_28th_of_february_ends_on_the_28th_of_march_and_not_on_its_last_day: None [], "2025-02-28" + 1 [] => "2025-03-28";
    the_31st_of_march_ends_on_the_30th_of_april_which_has_no_31st: None [], "2025-03-31" + 1 [] => "2025-04-30";
    the_31st_of_may_ends_on_the_30th_of_june: None [], "2025-05-31" + 1 [] => "2025-06-30";
    the_31st_of_august_ends_on_the_30th_of_september: None [], "2026-08-31" + 1 [] => "2026-09-30";
    the_31st_of_october_ends_on_the_30th_of_november: None [], "2026-10-31" + 1 [] => "2026-11-30";
    the_30th_of_november_ends_on_the_30th_of_december: None [], "2026-11-30" + 1 [] => "2026-12-30";
    the_31st_of_december_ends_on_the_31st_of_january_of_the_next_year_a_sunday_moved_to_monday: None [], "2026-12-31" + 1 [] => "2027-02-01";
    a_month_is_not_thirty_days_july_has_31: None [], "2026-07-01" + 1 [] => "2026-08-03";
    a_month_is_not_thirty_days_february_has_28: None [], "2026-02-10" + 1 [] => "2026-03-10";
    an_end_on_saturday_moves_to_monday: None [], "2026-04-09" + 1 [] => "2026-05-11";
    an_end_on_sunday_moves_to_monday: None [], "2026-04-10" + 1 [] => "2026-05-11";
    an_end_on_friday_stays: None [], "2026-04-08" + 1 [] => "2026-05-08";
    an_end_on_monday_stays: None [], "2026-04-11" + 1 [] => "2026-05-11";
    a_receipt_on_sunday_counts_from_that_sunday: None [], "2026-03-01" + 1 [] => "2026-04-01";
    a_receipt_on_a_holiday_counts_from_that_holiday: De [], "2026-05-01" + 1 [] => "2026-06-01";
    de_an_end_on_new_year_moves_to_the_second: De [], "2025-12-01" + 1 [] => "2026-01-02";
    de_an_end_on_good_friday_moves_over_easter_monday_to_tuesday: De [], "2026-03-03" + 1 [] => "2026-04-07";
    de_an_end_on_easter_sunday_moves_over_monday_to_tuesday: De [], "2026-03-05" + 1 [] => "2026-04-07";
    de_an_end_on_easter_monday_moves_to_tuesday: De [], "2026-03-06" + 1 [] => "2026-04-07";
    de_an_end_on_labour_day_a_friday_moves_to_monday: De [], "2026-04-01" + 1 [] => "2026-05-04";
    de_an_end_on_ascension_thursday_moves_to_friday: De [], "2026-04-14" + 1 [] => "2026-05-15";
    de_an_end_on_whit_monday_moves_to_tuesday: De [], "2026-04-25" + 1 [] => "2026-05-26";
    de_an_end_on_unity_day_a_saturday_moves_to_monday: De [], "2026-09-03" + 1 [] => "2026-10-05";
    de_an_end_on_unity_day_a_friday_moves_to_monday: De [], "2025-09-03" + 1 [] => "2025-10-06";
    de_an_end_on_christmas_moves_over_boxing_day_and_the_weekend: De [], "2025-11-25" + 1 [] => "2025-12-29";
    de_an_end_on_christmas_friday_2026_moves_to_monday: De [], "2026-11-25" + 1 [] => "2026-12-28";
    de_all_saints_is_no_holiday_of_all_germany_but_a_sunday: De [], "2026-10-01" + 1 [] => "2026-11-02";
    fr_an_end_on_victory_day_a_friday_moves_to_monday: Fr [], "2026-04-08" + 1 [] => "2026-05-11";
    fr_an_end_on_bastille_day_moves_to_wednesday: Fr [], "2026-06-14" + 1 [] => "2026-07-15";
    fr_an_end_on_armistice_day_moves_to_thursday: Fr [], "2026-10-11" + 1 [] => "2026-11-12";
    fr_good_friday_is_a_working_day: Fr [], "2026-03-03" + 1 [] => "2026-04-03";
    fr_boxing_day_is_a_working_day: Fr [], "2023-11-26" + 1 [] => "2023-12-26";
    fr_an_end_on_assumption_a_friday_moves_to_monday: Fr [], "2025-07-15" + 1 [] => "2025-08-18";
    gb_an_end_on_the_early_may_bank_holiday_moves_to_tuesday: Gb [], "2026-04-04" + 1 [] => "2026-05-05";
    gb_an_end_on_the_spring_bank_holiday_moves_to_tuesday: Gb [], "2026-04-25" + 1 [] => "2026-05-26";
    gb_an_end_on_the_summer_bank_holiday_moves_to_tuesday: Gb [], "2026-07-31" + 1 [] => "2026-09-01";
    gb_boxing_day_on_a_saturday_has_its_substitute_on_monday: Gb [], "2026-11-26" + 1 [] => "2026-12-29";
    gb_christmas_on_a_sunday_has_its_substitute_on_tuesday: Gb [], "2022-11-25" + 1 [] => "2022-12-28";
    gb_new_year_on_a_saturday_has_its_substitute_on_monday: Gb [], "2021-12-01" + 1 [] => "2022-01-04";
    gb_ascension_is_a_working_day: Gb [], "2026-04-14" + 1 [] => "2026-05-14";
    gb_good_friday_to_easter_monday_is_one_rest: Gb [], "2025-03-18" + 1 [] => "2025-04-22";
    nl_kings_day_moves_to_tuesday: Nl [], "2026-03-27" + 1 [] => "2026-04-28";
    nl_liberation_day_moves_to_wednesday: Nl [], "2026-04-05" + 1 [] => "2026-05-06";
    at_corpus_christi_moves_to_friday: At [], "2026-05-04" + 1 [] => "2026-06-05";
    at_the_national_day_moves_to_tuesday: At [], "2026-09-26" + 1 [] => "2026-10-27";
    be_the_national_day_moves_to_wednesday: Be [], "2026-06-21" + 1 [] => "2026-07-22";
    it_the_day_of_the_republic_moves_to_wednesday: It [], "2026-05-02" + 1 [] => "2026-06-03";
    ie_saint_brigid_is_the_first_monday_of_february: Ie [], "2026-01-02" + 1 [] => "2026-02-03";
    ie_the_october_holiday_is_its_last_monday: Ie [], "2026-09-26" + 1 [] => "2026-10-27";
    es_the_national_day_a_monday_moves_to_tuesday: Es [], "2026-09-12" + 1 [] => "2026-10-13";
    pl_christmas_eve_is_a_holiday_since_2025: Pl [], "2026-11-24" + 1 [] => "2026-12-28";
    an_extension_is_counted_from_the_receipt_and_makes_three_months: None [], "2026-03-05" + 3 [] => "2026-06-05";
    an_extension_from_the_30th_of_november_ends_on_the_28th_of_february_moved_to_monday: None [], "2025-11-30" + 3 [] => "2026-03-02";
    an_extension_from_the_30th_of_november_ends_on_the_29th_in_a_leap_year: None [], "2023-11-30" + 3 [] => "2024-02-29";
    an_extension_does_not_add_two_months_to_a_day_that_was_moved: None [], "2026-04-09" + 3 [] => "2026-07-09";
    de_an_extension_that_ends_on_christmas_moves_as_well: De [], "2025-09-25" + 3 [] => "2025-12-29";
    an_extension_over_the_end_of_the_year: None [], "2026-10-31" + 3 [] => "2027-02-01";
    a_stop_of_ten_days_for_an_identity_check_adds_ten_days: None [], "2026-03-05" + 1 [("2026-03-06" "2026-03-16")] => "2026-04-15";
    a_stop_that_began_and_ended_on_one_day_adds_nothing: None [], "2026-03-06" + 1 [("2026-03-07" "2026-03-07")] => "2026-04-06";
    two_stops_are_added_up: None [], "2026-03-05" + 1 [("2026-03-06" "2026-03-10") ("2026-03-20" "2026-03-23")] => "2026-04-13";
    a_stop_moves_the_end_before_weekends_are_looked_at: None [], "2026-04-08" + 1 [("2026-04-10" "2026-04-11")] => "2026-05-11";
    a_stop_that_goes_on_counts_up_to_today: None [], "2026-03-05" + 1 [("2026-03-10" "")] => "2026-04-15";
    de_a_stop_that_moves_the_end_onto_labour_day_moves_it_over_the_weekend: De [], "2026-03-27" + 1 [("2026-03-30" "2026-04-03")] => "2026-05-04";
    a_stop_and_an_extension_are_both_counted: None [], "2026-03-05" + 3 [("2026-03-06" "2026-03-16")] => "2026-06-15";
    a_region_may_add_a_day_of_its_own: De ["2026-10-30"], "2026-09-30" + 1 [] => "2026-11-02";
}

#[test]
fn easter_is_where_the_church_has_it() {
    for (year, expected) in [
        (1999, "1999-04-04"),
        (2000, "2000-04-23"),
        (2008, "2008-03-23"),
        (2011, "2011-04-24"),
        (2024, "2024-03-31"),
        (2025, "2025-04-20"),
        (2026, "2026-04-05"),
        (2027, "2027-03-28"),
        (2038, "2038-04-25"),
        (2285, "2285-03-22"),
    ] {
        assert_eq!(easter(year), day(expected), "{year}");
    }
}

#[test]
fn how_it_was_counted_is_said_in_a_sentence() {
    let calendar = Calendar::of(Country::De);
    let d = deadline(&calendar, day("2026-01-31"), 1, &[], day("2026-02-01"));
    assert_eq!(
        d.reasoning,
        "received on Sat 31 Jan 2026; one month from then ends on Sat 28 Feb 2026 (that month has no 31.); that is on a weekend, so the next working day counts: Mon 2 Mar 2026"
    );
    let stop = Pause { from: day("2026-03-01"), until: Some(day("2026-03-02")) };
    let d = deadline(&calendar, day("2026-03-05"), 1, &[stop], day("2026-03-03"));
    assert!(
        d.reasoning.contains("stood still for 1 day, which makes it Mon 6 Apr 2026; that is a public holiday"),
        "{}",
        d.reasoning
    );
}

proptest::proptest! {
    #[test]
    fn an_answer_is_never_due_before_the_month_is_over_nor_on_a_day_of_rest(days in 0i64..20_000, months in 1u32..4, country in 0usize..3) {
        let received = day("2000-01-01") + Days::new(days as u64);
        let calendar = Calendar::of([Country::De, Country::Gb, Country::Fr][country]);
        let d = deadline(&calendar, received, months, &[], received);
        proptest::prop_assert!(calendar.is_working_day(d.due) && d.due >= d.ends && (d.due - d.ends).num_days() <= 5);
        proptest::prop_assert!((d.ends - received).num_days() >= 28 * i64::from(months));
    }
}
