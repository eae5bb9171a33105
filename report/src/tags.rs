//! Figures by tag: those of all steps that have it, put together from what is kept by step. Percentiles come from the merged
//! histograms. Read by the JSON result and the summary.

use engine::stats::{Figures, RunResult};
use scenario::Plan;
use scenario::tags::Tags;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A tag with one of its values, and what happened to the requests of the steps that have it.
pub(crate) struct Tagged<'r> {
    pub(crate) name: &'r str,
    pub(crate) value: &'r str,
    pub(crate) figures: Cow<'r, Figures>,
}

/// By name and value, of names that are wanted. How many there may be is bounded by the plan.
pub(crate) fn by_tag(result: &RunResult, wanted: impl Fn(&str) -> bool) -> Vec<Tagged<'_>> {
    let mut all: BTreeMap<(&str, &str), Cow<'_, Figures>> = BTreeMap::new();
    for step in &result.steps {
        for tag in step.tags.iter().filter(|(name, _)| wanted(name)) {
            all.entry(tag)
                .and_modify(|figures| figures.to_mut().merge(&step.figures))
                .or_insert(Cow::Borrowed(&step.figures));
        }
    }
    all.into_iter().map(|((name, value), figures)| Tagged { name, value, figures }).collect()
}

/// Those that every request of the run has.
pub(crate) fn of_all(result: &RunResult) -> Tags {
    Tags::common(result.steps.iter().map(|step| &step.tags))
}

/// Those that every request of a plan has.
pub(crate) fn of_plan(plan: &Plan) -> Tags {
    Tags::common(plan.steps().map(|(_, step)| &step.tags))
}

/// An object of names and values.
pub(crate) fn object(tags: &Tags) -> Value {
    Value::Object(tags.iter().map(|(name, value)| (name.to_owned(), json!(value))).collect::<Map<_, _>>())
}

/// `kind=read, team=web`.
pub(crate) fn line(tags: &Tags) -> String {
    tags.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}
