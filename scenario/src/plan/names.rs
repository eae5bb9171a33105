//! The names of steps without secrets: a step that is given none is named after its path, and names stand in every result.

use super::{Plan, Scenario, Threshold};
use crate::limits;
use crate::secret::{Secrets, mask_query};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// By the name of the scenario and the step's name as it was.
type Renamed = HashMap<(String, String), String>;

impl Plan {
    /// Masks secrets in the names of steps, and wherever these are spoken of. Names stay unique in their scenario. Whoever makes a
    /// plan does this last.
    pub fn mask_names(&mut self) {
        // No plan has more steps, but a list of URLs has: what their queries say by name is masked, and not looked for elsewhere.
        let secrets = match self.steps().count() <= limits::MAX_STEPS {
            true => self.secrets(),
            false => Secrets::default(),
        };
        let mut renamed = Renamed::new();
        for once in self.script.setup.iter_mut().chain(&mut self.script.teardown) {
            mask(&mut once.scenario, &secrets, &mut renamed);
            for check in &mut once.checks {
                rename(&mut check.step, &check.scenario, &renamed);
            }
        }
        self.scenarios.iter_mut().for_each(|scenario| mask(scenario, &secrets, &mut renamed));
        if renamed.is_empty() {
            return;
        }
        for check in &mut self.script.checks {
            rename(&mut check.step, &check.scenario, &renamed);
        }
        let names: Vec<&String> = self.scenarios.iter().map(|scenario| &scenario.name).collect();
        let searched = self.search.iter_mut().flat_map(|search| &mut search.condition);
        for threshold in self.thresholds.iter_mut().chain(searched) {
            rename_of(threshold, &names, &renamed);
            threshold.text = speaking(&threshold.text, &renamed, &secrets);
        }
        if let Some(search) = &mut self.search {
            search.text = speaking(&search.text, &renamed, &secrets);
        }
    }
}

/// A name may have been cut, with `...` in the place of the rest.
fn masked(text: &str, secrets: &Secrets) -> String {
    secrets.mask_shown(&mask_query(text))
}

/// What a text says of steps by the names that they have now.
fn speaking(text: &str, renamed: &Renamed, secrets: &Secrets) -> String {
    let mut names: Vec<_> = renamed.iter().filter(|((_, old), _)| text.contains(&old[..])).collect();
    // The longest first: it may begin with another. Which of two scenarios has it makes no difference for what is masked.
    names.sort_by_key(|((scenario, old), _)| (std::cmp::Reverse(old.len()), old.clone(), scenario.clone()));
    let text = names.into_iter().fold(text.to_owned(), |text, ((_, old), new)| text.replace(&old[..], new));
    secrets.mask_whole(&text)
}

fn mask(scenario: &mut Scenario, secrets: &Secrets, renamed: &mut Renamed) {
    let shown: Vec<String> = scenario.steps.iter().map(|step| masked(&step.name, secrets)).collect();
    let changed = |at: usize| shown[at] != scenario.steps[at].name;
    let odd: Vec<usize> = (0..shown.len()).filter(|at| changed(*at)).collect();
    if odd.is_empty() {
        return;
    }
    let mut taken: HashSet<String> =
        (0..shown.len()).filter(|at| !changed(*at)).map(|at| shown[at].clone()).collect();
    let mut counts: HashMap<&String, usize> = HashMap::new();
    let mut program = scenario.program.as_mut().and_then(Arc::get_mut);
    for at in odd {
        let mut name = shown[at].clone();
        while !taken.insert(name.clone()) {
            let count = counts.entry(&shown[at]).or_insert(1);
            *count += 1;
            name = format!("{} #{count}", shown[at]);
        }
        if let Some(program) = &mut program {
            program.exchanges[at].name.clone_from(&name);
        }
        let old = std::mem::replace(&mut scenario.steps[at].name, name.clone());
        renamed.insert((scenario.name.clone(), old), name);
    }
}

fn rename(step: &mut String, scenario: &str, renamed: &Renamed) {
    if let Some(name) = renamed.get(&(scenario.to_owned(), step.clone())) {
        step.clone_from(name);
    }
}

/// Where a threshold speaks of a step of that name in whichever scenario, the first one that has such a step counts.
fn rename_of(threshold: &mut Threshold, scenarios: &[&String], renamed: &Renamed) {
    let Some(step) = &mut threshold.step else { return };
    let in_question = scenarios.iter().filter(|name| threshold.scenario.as_ref().is_none_or(|s| s == **name));
    let new = in_question.filter_map(|name| renamed.get(&((**name).clone(), step.clone()))).next();
    if let Some(new) = new {
        step.clone_from(new);
    }
}
