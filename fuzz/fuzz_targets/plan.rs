//! The plan parser against arbitrary text: it answers, its errors have a place inside the text, and what it accepts can
//! be described. Seeds: `cargo fuzz run plan fuzz/corpus/plan configs scenario/tests/bad -- -dict=fuzz/plan.dict`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scenario::Overrides;
use std::path::Path;

fuzz_target!(|text: &str| {
    // A first line `#!set path=value` is a setting beside the plan, so that those are fuzzed too.
    let setting = text.lines().next().and_then(|line| line.strip_prefix("#!set "));
    let overrides = Overrides { set: setting.map(str::to_owned).into_iter().collect() };
    match scenario::parse(text, "plan.yaml", Path::new("/nonexistent"), &overrides) {
        Ok(plan) => {
            assert!(!plan.targets.is_empty() && !plan.scenarios.is_empty() && !plan.phases.is_empty());
            assert!(plan.steps().all(|(_, step)| step.target < plan.targets.len()));
            assert!(!scenario::describe(&plan).is_empty());
        }
        Err(errors) => {
            assert!(!errors.list().is_empty());
            assert!(!errors.to_string().contains('\u{1b}'));
            for place in
                errors.list().iter().filter_map(|e| e.place.as_ref()).filter(|p| p.file == "plan.yaml")
            {
                let line = text.split('\n').nth(place.line - 1).expect("the line exists");
                assert!(place.column <= line.chars().count() + 1);
            }
        }
    }
});
