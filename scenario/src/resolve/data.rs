//! `data`: files, lists and ranges that virtual users take rows from.

use super::body::json_number;
use crate::expr::value::Value;
use crate::limits;
use crate::place;
use crate::program::data::{AtEnd, Format, Order, Source, Table, format_of};
use crate::reader::{Fields, Reader};
use crate::scope::DataNames;
use crate::source::quote;
use crate::tree::{Entry, Kind, Node};
use std::rc::Rc;
use std::sync::Arc;

/// Reads all sources; their names go into the scope.
pub(crate) fn read(reader: &mut Reader<'_>, plan: &Fields<'_>) -> Vec<Source> {
    let Some(entry) = plan.get("data") else { return vec![] };
    let Some(entries) = reader.named(entry, "names to data sources") else { return vec![] };
    let mut sources = Vec::new();
    for entry in entries.iter().take(limits::MAX_DATA) {
        match source(reader, entry) {
            Some(source) => {
                let columns = source.table.columns.clone();
                reader.scope.data.push(DataNames { name: source.name.clone(), columns });
                sources.push(source);
            }
            None => reader.scope.partial = true,
        }
    }
    if entries.len() > limits::MAX_DATA {
        reader.problems.add(
            entry.key_span,
            format!("a plan has at most {} data sources", limits::MAX_DATA),
            "",
        );
    }
    sources
}

fn source(reader: &mut Reader<'_>, entry: &Entry) -> Option<Source> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    if !entry.key.chars().all(is_name) || !entry.key.starts_with(char::is_alphabetic) {
        let message = format!("{} is not a name for data", quote(&entry.key));
        return reader.fail(entry.key_span, message, "use letters, digits and `_`");
    }
    let fields = reader.map(entry, &place::DATA)?;
    let order = match fields.get("order") {
        None => Some(Order::Sequential),
        Some(entry) => reader.word(
            entry,
            &[
                ("sequential", Order::Sequential),
                ("random", Order::Random),
                ("unique", Order::Unique),
                ("per_user", Order::PerUser),
            ],
        ),
    };
    let at_end = fields.get("at_end").map(|entry| {
        let words = [("stop", AtEnd::Stop), ("recycle", AtEnd::Recycle), ("fail", AtEnd::Fail)];
        reader.word(entry, &words).map(|word| (word, entry))
    });
    let table = table(reader, entry, &fields)?;
    let order = order?;
    let at_end = match at_end {
        None if order == Order::Unique => AtEnd::Stop,
        None => AtEnd::Recycle,
        Some(at_end) => {
            let (at_end, entry) = at_end?;
            if order == Order::Unique && at_end == AtEnd::Recycle {
                let message = "`order: unique` uses no row twice";
                return reader.fail(
                    entry.value.span,
                    message,
                    "use `stop` or `fail`, or `order: sequential`",
                );
            }
            at_end
        }
    };
    Some(Source { name: entry.key.clone(), order, at_end, table: Arc::new(table) })
}

fn table(reader: &mut Reader<'_>, entry: &Entry, fields: &Fields<'_>) -> Option<Table> {
    let mut given = ["file", "rows", "values", "range"].into_iter().filter_map(|key| fields.get(key));
    let Some(what) = given.next() else {
        if fields.odd {
            return None;
        }
        let message = format!("the data source {} has no data", quote(&entry.key));
        return reader.fail(entry.key_span, message, "give it `file`, `rows`, `values` or `range`");
    };
    if let Some(second) = given.next() {
        let message = format!("a data source has one origin, and there is {} already", quote(&what.key));
        return reader.fail(second.key_span, message, "make it a source of its own");
    }
    let of_files = ["format", "delimiter", "columns"].into_iter().find_map(|key| fields.get(key));
    if let Some(odd) = of_files.filter(|_| what.key != "file") {
        return reader.fail(odd.key_span, format!("{} goes with `file`", quote(&odd.key)), "");
    }
    match what.key.as_str() {
        "file" => file(reader, what, fields),
        "range" => range(reader, what),
        "values" => {
            let values = reader.list(what, "values", limits::MAX_ROWS)?;
            let cells: Option<Vec<Value>> = values.iter().map(|node| scalar(reader, node)).collect();
            Some(Table::of_rows(vec!["value".to_owned()], cells?))
        }
        _ => rows(reader, what),
    }
}

fn file(reader: &mut Reader<'_>, entry: &Entry, fields: &Fields<'_>) -> Option<Table> {
    let name = reader.text(entry)?;
    let format = match fields.get("format") {
        Some(entry) => {
            let csv = Format::Csv { delimiter: b',' };
            Some(reader.word(entry, &[("csv", csv), ("json", Format::Json), ("jsonl", Format::JsonLines)])?)
        }
        None => format_of(name),
    };
    let Some(mut format) = format else {
        let message = format!("{} does not end with .csv, .tsv, .json or .jsonl", quote(name));
        return reader.fail(entry.value.span, message, "add `format: csv`, `json` or `jsonl`");
    };
    if let Some(entry) = fields.get("delimiter") {
        match reader.text(entry)?.as_bytes() {
            [byte] => format = Format::Csv { delimiter: *byte },
            _ => return reader.fail(entry.value.span, "a delimiter is one character", "for example `;`"),
        }
    }
    let columns = match fields.get("columns") {
        None => None,
        Some(entry) => {
            let list = reader.list(entry, "names", limits::MAX_VARIABLES)?;
            let mut names: Vec<String> = Vec::new();
            for node in list {
                let Some(name) = node.as_text() else {
                    let message = format!("the name of a column must be text, found {}", Reader::found(node));
                    return reader.fail(node.span, message, "");
                };
                if names.iter().any(|other| other == name) {
                    return reader.fail(node.span, format!("two columns are named {}", quote(name)), "");
                }
                names.push(name.to_owned());
            }
            Some(names)
        }
    };
    let path = reader.base_dir.join(name);
    match Table::of_file(&path, format, columns) {
        Ok(table) => {
            reader.files.push(path);
            Some(table)
        }
        Err(reason) => reader.fail(entry.value.span, format!("cannot use {}", quote(name)), reason),
    }
}

fn range(reader: &mut Reader<'_>, entry: &Entry) -> Option<Table> {
    let bounds = entry.value.as_text().and_then(|text| {
        let (first, last) = text.split_once("..")?;
        Some((first.trim().parse::<i64>().ok()?, last.trim().parse::<i64>().ok()?))
    });
    match bounds {
        Some((first, last)) if first <= last => Some(Table::of_range(first, last)),
        _ => reader.mismatch(entry, "a range such as `1..1000`"),
    }
}

fn rows(reader: &mut Reader<'_>, entry: &Entry) -> Option<Table> {
    let list: &[Rc<Node>] = reader.list(entry, "maps of columns to values", limits::MAX_ROWS)?;
    let mut columns: Vec<String> = Vec::new();
    let mut cells = Vec::new();
    for node in list {
        let Kind::Map(row) = &node.kind else {
            return reader.fail(
                node.span,
                "a row is a map of columns to values",
                "`values` takes a plain list",
            );
        };
        if row.is_empty() {
            return reader.fail(node.span, "a row is a map of columns to values", "this one is empty");
        }
        if columns.is_empty() {
            columns = row.iter().map(|e| e.key.clone()).collect();
        }
        if let Some(odd) = row.iter().find(|e| !columns.contains(&e.key)) {
            let message = format!("the first row has no column {}", quote(&odd.key));
            return reader.fail(odd.key_span, message, format!("it has {}", quote(&columns.join(", "))));
        }
        for column in &columns {
            cells.push(match row.iter().find(|e| e.key == *column) {
                Some(e) => scalar(reader, &e.value)?,
                None => Value::Null,
            });
        }
    }
    Some(Table::of_rows(columns, cells))
}

/// A scalar as a value with a type: numbers and switches without quotes are what they look like.
pub(crate) fn scalar(reader: &mut Reader<'_>, node: &Node) -> Option<Value> {
    if node.is_null() {
        return Some(Value::Null);
    }
    let Kind::Scalar { text, plain } = &node.kind else {
        return reader.fail(node.span, format!("a value belongs here, found {}", Reader::found(node)), "");
    };
    if *plain {
        match text.as_str() {
            "true" => return Some(Value::Bool(true)),
            "false" => return Some(Value::Bool(false)),
            _ => {}
        }
        let numeric = text.starts_with(|c: char| c.is_ascii_digit() || c == '-') && !text.starts_with("0x");
        let padded = text.trim_start_matches('-');
        let decimal = numeric && (!padded.starts_with('0') || padded.len() == 1 || padded.starts_with("0."));
        if decimal && text.parse::<f64>().is_ok_and(f64::is_finite) {
            return Some(Value::of_number(&json_number(text)));
        }
    }
    Some(Value::Text(text.clone()))
}
