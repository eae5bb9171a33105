//! A search for people: what was found, how sure that is, and every probe.

use super::figures;
use super::ink::Ink;
use super::table::Table;
use super::units::rate;
use crate::search::{Probe, Searched, word};
use engine::search::{Finding, Limit};
use scenario::search::Search;

/// The whole section.
pub fn render(search: &Search, searched: &Searched, colour: bool) -> String {
    let ink = Ink(colour);
    format!("{}\n{}{}\n", ink.heading("search"), conclusion(search, searched, ink), probes(search, searched))
}

/// One probe, as it is told while the search goes on.
pub fn probe_line(number: usize, search: &Search, probe: &Probe) -> String {
    let found: Vec<String> =
        probe.outcomes.iter().map(|o| format!("{} ({})", o.text, figures::value(o))).collect();
    let achieved = probe.achieved.map_or(String::new(), |a| format!("  achieved {}", rate(a)));
    let note = probe.note.as_ref().map_or(String::new(), |n| format!("  {n}"));
    let load = format!("{} {}", search.quantity(), search.show(probe.load));
    format!("probe {number:<3} {load:<16}  {:<7}{achieved}  {}{note}", word(probe.finding), found.join(", "))
}

fn conclusion(search: &Search, searched: &Searched, ink: Ink) -> String {
    let found = &searched.found;
    let (what, count) = (search.quantity(), searched.probes.len());
    let mut out = match found.highest {
        Some(highest) => {
            let sure = match (found.confirmed, searched.interrupted) {
                (true, _) => format!("confirmed by {} probes", search.confirm),
                (false, true) => ink.doubtful("not confirmed: interrupted"),
                (false, false) => ink.doubtful("not confirmed"),
            };
            let text = format!("highest {what}: {}", search.show(highest));
            format!("{}  ({sure})\n", ink.good(&text))
        }
        None => format!("{}\n", ink.bad(&format!("no {what} was found at which the condition holds"))),
    };
    out += &format!("while {}\n", search.text);
    out += &match found.limit {
        Limit::Server(load) => format!("the server fails at {}\n", search.show(load)),
        Limit::Client(load) => format!(
            "{}\n",
            ink.doubtful(&format!(
                "at {} the client was the bottleneck: the limit of the server is not known, only that it is not lower",
                search.show(load)
            ))
        ),
        Limit::Range => format!("`to` was reached: the limit is not below {}\n", search.show(search.to)),
        Limit::Unfinished => {
            let why = if searched.interrupted { "interrupted: " } else { "" };
            format!("{}\n", ink.doubtful(&format!("{why}the search is not finished")))
        }
    };
    if let Some(interval) = found.interval {
        let show = |load: f64| search.show(rounded(load));
        out += &match interval.high {
            Some(high) => format!("limit with 95 % confidence: {} to {}\n", show(interval.low), show(high)),
            None => format!("limit: at least {}\n", show(interval.low)),
        };
    }
    if let Some(least) = search.at_least {
        let (enough, text) = (searched.holds(search), format!("at_least {}", search.show(least)));
        out += &format!("{}  {text}\n", if enough { ink.good("ok  ") } else { ink.bad("FAIL") });
    }
    out + &format!("{count} probes of {} s\n", search.probe.as_secs_f64())
}

/// Four digits: what is known no better.
fn rounded(load: f64) -> f64 {
    let step = 10_f64.powf(load.log10().floor() - 3.0);
    match step < 1.0 {
        true => (load / step).round() / (1.0 / step).round(),
        false => (load / step).round() * step,
    }
}

fn probes(search: &Search, searched: &Searched) -> String {
    let parts: Vec<&str> = search.condition.iter().map(|t| t.text.as_str()).collect();
    let mut heading = vec![search.quantity(), "achieved"];
    heading.extend(parts);
    heading.extend(["came out", "verdict"]);
    let mut table = Table::new(&heading);
    let mut notes: Vec<(String, usize)> = Vec::new();
    for probe in &searched.probes {
        let mut cells = vec![search.show(probe.load), probe.achieved.map_or_else(|| "-".to_owned(), rate)];
        cells.extend((0..search.condition.len()).map(|i| match probe.outcomes.get(i) {
            Some(outcome) => figures::value(outcome),
            None => "-".to_owned(),
        }));
        cells.push(word(probe.finding).to_owned());
        cells.push(probe.verdict.as_str().to_owned());
        table.row(cells);
        let told = probe.note.iter().cloned().chain(
            (probe.finding == Finding::Unclear).then_some(&probe.reasons).into_iter().flatten().cloned(),
        );
        for note in told {
            match notes.iter_mut().find(|(text, _)| *text == note) {
                Some((_, times)) => *times += 1,
                None => notes.push((note, 1)),
            }
        }
    }
    let mut out = table.render();
    for (note, times) in notes {
        out +=
            &format!("  - {note}{}\n", if times > 1 { format!(" ({times} probes)") } else { String::new() });
    }
    out
}
