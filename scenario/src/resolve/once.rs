//! `setup` and `teardown`: steps that are done once in a run, before the first phase and after the last.

use super::habits::Habits;
use super::scenarios::{Walk, number_checks};
use crate::expr::HANDED;
use crate::plan::{Once, Order, Scenario};
use crate::program::OnError;
use crate::reader::{Fields, Reader};
use std::num::NonZeroU32;

/// Reads the steps behind one of the two keys. `Some(None)`: there are none. What `setup` gives a value is in the scope of all
/// that is read after it.
pub(crate) fn read(
    reader: &mut Reader<'_>,
    plan: &Fields<'_>,
    key: &'static str,
    mut walk: Walk<'_>,
) -> Option<Option<Box<Once>>> {
    let Some(entry) = plan.get(key) else { return Some(None) };
    // A step that fails is no ground to build on.
    let habits = Habits { on_error: OnError::EndIteration, ..walk.defaults.clone() };
    reader.scope.once = true;
    let body = walk.body(reader, &habits, None, entry);
    reader.scope.once = false;
    let Some(body) = body else {
        reader.scope.partial |= key == "setup";
        return None;
    };
    let hands: Vec<u16> =
        if key == "setup" { (body.first..body.names.len() as u16).collect() } else { vec![] };
    let names = hands.iter().map(|place| body.names[usize::from(*place)].clone()).collect();
    let (steps, program) = body.compile(reader, &habits, true);
    if key == "setup" {
        reader.scope.handed = names;
        let hidden = program.as_ref().map_or(&[][..], |program| program.hidden_places());
        let hidden = hands.iter().enumerate().filter(|(_, place)| hidden.contains(place));
        reader.scope.hidden_hands = hidden.map(|(at, _)| HANDED + at as u16).collect();
    }
    let mut scenario =
        Scenario { name: key.to_owned(), weight: NonZeroU32::MIN, steps, order: Order::Sequence, program };
    let checks = number_checks(std::slice::from_mut(&mut scenario));
    // Its targets follow when all are known and settled.
    Some(Some(Box::new(Once { scenario, targets: vec![], checks, hands })))
}
