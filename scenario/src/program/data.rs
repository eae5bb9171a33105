//! Rows for virtual users: CSV, JSON, JSON lines, lists and ranges.
//!
//! A small file lies in memory, shared by all cores. Of a large one only the place of every n-th row is kept, and a core reads
//! the piece it is at: a file of 5 GB takes some MB. A file that changes under the run gives an error, not a crash, which is
//! why it is read and not mapped.

use super::json_text;
use crate::expr::random::Random;
use crate::expr::value::Value;
use crate::limits;
use crate::source::quote;
use serde_json::value::RawValue;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A source of rows of a plan.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// How rows are taken.
    pub order: Order,
    /// What happens when there are no more.
    pub at_end: AtEnd,
    pub(crate) table: Arc<Table>,
}

/// How rows are taken from a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// One after the other; the cores take turns.
    Sequential,
    /// Any row.
    Random,
    /// One after the other, each once in the run.
    Unique,
    /// A user has one row for the whole run.
    PerUser,
}

/// What happens when the rows are used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtEnd {
    /// Nothing that needs a row begins any more.
    Stop,
    /// From the first again.
    Recycle,
    /// The iteration fails.
    Fail,
}

impl Order {
    /// As the plan writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Order::Sequential => "sequential",
            Order::Random => "random",
            Order::Unique => "unique",
            Order::PerUser => "per_user",
        }
    }
}

impl AtEnd {
    /// As the plan writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            AtEnd::Stop => "stop",
            AtEnd::Recycle => "recycle",
            AtEnd::Fail => "fail",
        }
    }
}

impl Source {
    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        self.table.rows()
    }

    /// The names of its columns.
    pub fn columns(&self) -> &[String] {
        &self.table.columns
    }
}

/// Rows and columns.
#[derive(Debug)]
pub(crate) struct Table {
    pub columns: Vec<String>,
    rows: u64,
    cells: Cells,
}

#[derive(Debug)]
enum Cells {
    /// Row by row.
    Memory(Vec<Value>),
    Range(i64),
    Paged(Paged),
}

/// A large file.
#[derive(Debug)]
struct Paged {
    file: File,
    format: Format,
    /// Where every [`limits::PAGE_ROWS`]-th row begins, and where the last ends.
    pages: Vec<u64>,
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Csv { delimiter: u8 },
    Json,
    JsonLines,
}

/// Why a file is no table: the reason, for people.
pub(crate) type TableError = String;

impl Table {
    /// A list of values, or of maps with columns.
    pub fn of_rows(columns: Vec<String>, cells: Vec<Value>) -> Table {
        let rows = if columns.is_empty() { 0 } else { (cells.len() / columns.len()) as u64 };
        Table { columns, rows, cells: Cells::Memory(cells) }
    }

    /// The whole numbers from `first` to `last`.
    pub fn of_range(first: i64, last: i64) -> Table {
        let rows = u64::try_from(i128::from(last) - i128::from(first) + 1).unwrap_or(0);
        Table { columns: vec!["value".to_owned()], rows, cells: Cells::Range(first) }
    }

    /// Reads a file, or makes an index of it. `columns`: the file has no line of names.
    pub fn of_file(path: &Path, format: Format, columns: Option<Vec<String>>) -> Result<Table, TableError> {
        let file = File::open(path).map_err(|e| reason(&e))?;
        let meta = file.metadata().map_err(|e| reason(&e))?;
        if !meta.is_file() {
            return Err("it is not a regular file".into());
        }
        let large = meta.len() > limits::MAX_DATA_IN_MEMORY;
        let table = match format {
            Format::Csv { delimiter } => csv_file(file, delimiter, columns, large),
            Format::JsonLines => lines_file(file, columns, large),
            Format::Json if large => Err(format!(
                "a JSON file has at most {} MiB; larger ones go as JSON lines",
                limits::MAX_DATA_IN_MEMORY >> 20
            )),
            Format::Json => json_file(file, columns),
        }?;
        match table.rows {
            0 => Err("it has no rows".into()),
            _ => Ok(table),
        }
    }

    /// How many rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file; paths are relative to the plan".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

fn csv_reader<R: io::Read>(input: R, delimiter: u8, headers: bool) -> csv::Reader<R> {
    csv::ReaderBuilder::new().delimiter(delimiter).has_headers(headers).from_reader(input)
}

fn csv_file(
    file: File,
    delimiter: u8,
    columns: Option<Vec<String>>,
    large: bool,
) -> Result<Table, TableError> {
    let quotes = Quotes { input: &file, delimiter, line: 1, state: Quoting::First(0), fault: None };
    let mut reader = csv_reader(quotes, delimiter, columns.is_none());
    let columns = match columns {
        Some(columns) => columns,
        None => {
            let names = reader.headers().map_err(|e| csv_reason(&e))?;
            let line = names.position().map_or(0, csv::Position::line);
            let names: Vec<String> =
                names.iter().map(|n| n.trim_start_matches('\u{feff}').trim().to_owned()).collect();
            if let Some(name) = twice(&names) {
                return Err(format!("line {line}: two columns are named {}", quote(name)));
            }
            names
        }
    };
    let (mut cells, mut pages, mut rows, mut end) = (Vec::new(), Vec::new(), 0_u64, 0);
    let mut record = csv::StringRecord::new();
    loop {
        let read = reader.read_record(&mut record).map_err(|e| csv_reason(&e));
        // It reads ahead: what comes behind the record is no fault of it.
        let line = if matches!(read, Ok(false)) { u64::MAX } else { reader.position().line() };
        if let Some((line, fault)) = reader.get_ref().fault.filter(|fault| fault.0 < line) {
            return Err(format!("line {line}: {fault}"));
        }
        if !read? {
            break;
        }
        if record.len() != columns.len() {
            let line = record.position().map_or(0, csv::Position::line);
            return Err(format!(
                "line {line} has {} values, and there are {} columns",
                record.len(),
                columns.len()
            ));
        }
        if !large {
            cells.extend(record.iter().map(|cell| Value::Text(cell.to_owned())));
        } else if rows.is_multiple_of(limits::PAGE_ROWS) {
            pages.push(record.position().map_or(0, csv::Position::byte));
        }
        rows += 1;
        end = reader.position().byte();
    }
    pages.push(end);
    let cells = match large {
        true => Cells::Paged(Paged { file, format: Format::Csv { delimiter }, pages }),
        false => Cells::Memory(cells),
    };
    Ok(Table { columns, rows, cells })
}

/// The first name that is there twice; what has none cannot be referred to.
fn twice(columns: &[String]) -> Option<&str> {
    let mut seen = HashSet::new();
    columns.iter().map(String::as_str).find(|name| !name.is_empty() && !seen.insert(*name))
}

/// What passes through, with an eye on its quotes: the package takes any for one, and with an open one the rest of the file for a
/// value.
struct Quotes<R> {
    input: R,
    delimiter: u8,
    line: u64,
    state: Quoting,
    /// The first fault, and its line.
    fault: Option<(u64, &'static str)>,
}

/// Where a byte stands.
#[derive(Clone, Copy)]
enum Quoting {
    /// In front of everything, behind so many bytes of a byte order mark.
    First(u8),
    /// Where a value begins.
    Start,
    Plain,
    /// In quotes that were opened on this line.
    Inside(u64),
    /// Behind a quote, which closes unless it is one of two.
    Behind(u64),
}

impl<R: io::Read> io::Read for Quotes<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(buffer)?;
        if let (0, false, Quoting::Inside(line)) = (n, buffer.is_empty(), self.state) {
            self.fault.get_or_insert((line, "its quote is never closed"));
        }
        buffer[..n].iter().for_each(|byte| self.byte(*byte));
        Ok(n)
    }
}

impl<R> Quotes<R> {
    fn byte(&mut self, byte: u8) {
        self.state = match (self.state, byte) {
            (Quoting::Inside(line), b'"') => Quoting::Behind(line),
            (Quoting::Inside(line), _) => Quoting::Inside(line),
            (Quoting::Behind(line), b'"') => Quoting::Inside(line),
            (_, b'\n' | b'\r') => Quoting::Start,
            (_, byte) if byte == self.delimiter => Quoting::Start,
            (Quoting::Behind(_), _) => {
                self.fault.get_or_insert((self.line, "a quote closes here in the middle of a value"));
                Quoting::Plain
            }
            (Quoting::Start | Quoting::First(0 | 3), b'"') => Quoting::Inside(self.line),
            (Quoting::First(n @ 0..3), byte) if byte == b"\xef\xbb\xbf"[usize::from(n)] => {
                Quoting::First(n + 1)
            }
            _ => Quoting::Plain,
        };
        self.line += u64::from(byte == b'\n');
    }
}

fn csv_reason(error: &csv::Error) -> String {
    let line = error.position().map(|p| format!("line {}: ", p.line())).unwrap_or_default();
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => format!("{line}it is not UTF-8"),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{line}{len} values, and there are {expected_len} columns")
        }
        csv::ErrorKind::Io(error) => reason(error),
        _ => format!("{line}it is not CSV"),
    }
}

/// The cells of one JSON row, in the order of the columns. `None`: a text has an escape that is no character, or something is
/// nested too deep.
fn json_row(row: &str, columns: &[String], cells: &mut Vec<Value>) -> Option<()> {
    let first = cells.len();
    let mut add = |text: Option<&str>| {
        let mut cell = Value::Null;
        if let Some(text) = text {
            cell.set(json_text::value(text)?);
        }
        cells.push(cell);
        Some(())
    };
    if row.starts_with('{') {
        let members = json_text::members(row)?;
        columns.iter().try_for_each(|c| add(members.get(&**c).copied()))?;
    } else {
        add(Some(row))?;
        cells.resize(first + columns.len().max(1), Value::Null);
    }
    Some(())
}

fn columns_of(row: &str) -> Vec<String> {
    json_text::names(row).unwrap_or_else(|| vec!["value".to_owned()])
}

const NO_ROW: &str = "a text has an escape that is no character, or it is nested too deep";

fn json_file(file: File, columns: Option<Vec<String>>) -> Result<Table, TableError> {
    let text = io::read_to_string(file).map_err(|e| match e.kind() {
        io::ErrorKind::InvalidData => "it is not UTF-8".to_owned(),
        _ => reason(&e),
    })?;
    let list: Vec<&RawValue> =
        serde_json::from_str(&text).map_err(|e| format!("line {}: it is not a JSON list ({e})", e.line()))?;
    let columns =
        columns.unwrap_or_else(|| list.first().map(|row| columns_of(row.get())).unwrap_or_default());
    let mut cells = Vec::with_capacity(list.len() * columns.len());
    for (i, row) in list.iter().enumerate() {
        json_row(row.get(), &columns, &mut cells).ok_or_else(|| format!("row {}: {NO_ROW}", i + 1))?;
    }
    Ok(Table::of_rows(columns, cells))
}

fn lines_file(file: File, columns: Option<Vec<String>>, large: bool) -> Result<Table, TableError> {
    let mut reader = BufReader::new(&file);
    let (mut columns, mut cells, mut pages) = (columns, Vec::new(), Vec::new());
    let (mut rows, mut at, mut number) = (0_u64, 0_u64, 0_u64);
    let mut line = String::new();
    loop {
        line.clear();
        let n = reader.read_line(&mut line).map_err(|e| reason(&e))?;
        if n == 0 {
            break;
        }
        number += 1;
        let begin = at;
        at += n as u64;
        if line.trim().is_empty() {
            continue;
        }
        if !large || columns.is_none() {
            let row: &RawValue =
                serde_json::from_str(&line).map_err(|e| format!("line {number}: it is not JSON ({e})"))?;
            let columns = columns.get_or_insert_with(|| columns_of(row.get()));
            if !large {
                json_row(row.get(), columns, &mut cells).ok_or_else(|| format!("line {number}: {NO_ROW}"))?;
            }
        }
        if large && rows.is_multiple_of(limits::PAGE_ROWS) {
            pages.push(begin);
        }
        rows += 1;
    }
    pages.push(at);
    let cells = match large {
        true => Cells::Paged(Paged { file, format: Format::JsonLines, pages }),
        false => Cells::Memory(cells),
    };
    Ok(Table { columns: columns.unwrap_or_default(), rows, cells })
}

/// Who takes rows: which core of how many.
#[derive(Clone, Copy, Debug)]
pub struct Shard {
    /// Which core, from 0.
    pub index: u64,
    /// Of how many; at least 1.
    pub of: u64,
}

/// A core's place in a source.
#[derive(Debug)]
pub(crate) struct Cursor {
    source: Source,
    shard: Shard,
    /// Rows taken by this core.
    taken: u64,
    /// The piece of a large file that lies in memory.
    page: Option<u64>,
    cells: Vec<Value>,
}

/// What a source has for an iteration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Row(u64),
    UsedUp,
}

impl Cursor {
    pub fn new(source: Source, shard: Shard) -> Cursor {
        Cursor { source, shard, taken: 0, page: None, cells: Vec::new() }
    }

    pub fn name(&self) -> &str {
        &self.source.name
    }

    /// Whether an iteration of this user may begin: there is a row for it, or it fails for want of one.
    pub fn lets_begin(&self, user: u64) -> bool {
        let rows = self.source.table.rows;
        match (self.source.at_end, self.source.order) {
            (AtEnd::Recycle | AtEnd::Fail, _) | (AtEnd::Stop, Order::Random) => true,
            (AtEnd::Stop, Order::PerUser) => user < rows,
            (AtEnd::Stop, Order::Sequential | Order::Unique) => self.following() < rows,
        }
    }

    /// Core i of n takes rows i, i + n, i + 2n, ...: no two cores the same, and all of them at the end.
    fn following(&self) -> u64 {
        self.taken.saturating_mul(self.shard.of).saturating_add(self.shard.index)
    }

    /// The next row for a user.
    pub fn take(&mut self, user: u64, random: &Random) -> Taken {
        let rows = self.source.table.rows;
        match self.source.order {
            Order::Random => return Taken::Row(random.below(rows)),
            Order::PerUser => {
                return match self.source.at_end {
                    AtEnd::Recycle => Taken::Row(user % rows),
                    _ if user < rows => Taken::Row(user),
                    _ => Taken::UsedUp,
                };
            }
            Order::Sequential | Order::Unique => {}
        }
        let row = self.following();
        if row < rows {
            self.taken += 1;
            return Taken::Row(row);
        }
        match self.source.at_end {
            AtEnd::Recycle if self.shard.index < rows => {
                self.taken = 1;
                Taken::Row(self.shard.index)
            }
            // More cores than rows.
            AtEnd::Recycle => Taken::Row(self.shard.index % rows),
            AtEnd::Stop | AtEnd::Fail => Taken::UsedUp,
        }
    }

    /// Calls `each` with the wanted columns of a row.
    pub fn read(&mut self, row: u64, columns: &[(u16, u16)], vars: &mut [Value]) -> Result<(), TableError> {
        let width = self.source.table.columns.len();
        let cells = match &self.source.table.cells {
            Cells::Range(first) => {
                columns
                    .iter()
                    .for_each(|(_, place)| vars[usize::from(*place)] = Value::Int(first + row as i64));
                return Ok(());
            }
            Cells::Memory(cells) => &cells[row as usize * width..],
            Cells::Paged(paged) => {
                let page = row / limits::PAGE_ROWS;
                if self.page != Some(page) {
                    self.page = None;
                    self.cells.clear();
                    paged.load(page, &self.source.table.columns, &mut self.cells)?;
                    self.page = Some(page);
                }
                let at = (row % limits::PAGE_ROWS) as usize * width;
                self.cells.get(at..at + width).ok_or("the data file has changed during the run")?
            }
        };
        for (column, place) in columns {
            let var = &mut vars[usize::from(*place)];
            match &cells[usize::from(*column)] {
                Value::Text(text) => var.set_text(text),
                other => *var = other.clone(),
            }
        }
        Ok(())
    }
}

impl Paged {
    fn load(&self, page: u64, columns: &[String], cells: &mut Vec<Value>) -> Result<(), TableError> {
        const CHANGED: &str = "the data file has changed during the run";
        let page = page as usize;
        let (Some(&begin), Some(&end)) = (self.pages.get(page), self.pages.get(page + 1)) else {
            return Err(CHANGED.into());
        };
        let mut bytes = vec![0; (end - begin) as usize];
        self.file.read_exact_at(&mut bytes, begin).map_err(|_| CHANGED)?;
        match self.format {
            Format::Csv { delimiter } => {
                let mut reader = csv_reader(&bytes[..], delimiter, false);
                let mut record = csv::StringRecord::new();
                while reader.read_record(&mut record).map_err(|_| CHANGED)? {
                    if record.len() != columns.len() {
                        return Err(CHANGED.into());
                    }
                    cells.extend(record.iter().map(|cell| Value::Text(cell.to_owned())));
                }
            }
            Format::JsonLines | Format::Json => {
                let text = std::str::from_utf8(&bytes).map_err(|_| CHANGED)?;
                for line in text.lines().filter(|l| !l.trim().is_empty()) {
                    let row: &RawValue = serde_json::from_str(line).map_err(|_| CHANGED)?;
                    json_row(row.get(), columns, cells).ok_or(NO_ROW)?;
                }
            }
        }
        Ok(())
    }
}

/// What the ending of a file's name says.
pub(crate) fn format_of(path: &str) -> Option<Format> {
    match PathBuf::from(path).extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "csv" => Some(Format::Csv { delimiter: b',' }),
        "tsv" => Some(Format::Csv { delimiter: b'\t' }),
        "json" => Some(Format::Json),
        "jsonl" | "ndjson" => Some(Format::JsonLines),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(table: Table, order: Order, at_end: AtEnd, shard: (u64, u64)) -> Cursor {
        let source = Source { name: "d".into(), order, at_end, table: Arc::new(table) };
        Cursor::new(source, Shard { index: shard.0, of: shard.1 })
    }

    fn scratch(name: &str, bytes: &[u8]) -> PathBuf {
        let path = std::env::temp_dir().join(format!("loadgen-data-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn rows(cursor: &mut Cursor, n: usize) -> Vec<i64> {
        let random = Random::new(1, 1);
        let mut vars = [Value::Unset];
        (0..n)
            .map(|_| match cursor.take(5, &random) {
                Taken::UsedUp => -1,
                Taken::Row(row) => {
                    cursor.read(row, &[(0, 0)], &mut vars).unwrap();
                    vars[0].get().unwrap().int().unwrap()
                }
            })
            .collect()
    }

    #[test]
    fn cores_share_the_rows_out() {
        let take =
            |core, order, at_end| rows(&mut cursor(Table::of_range(0, 6), order, at_end, (core, 3)), 4);
        let unique = |core| take(core, Order::Unique, AtEnd::Stop);
        assert_eq!([unique(0), unique(1), unique(2)], [[0, 3, 6, -1], [1, 4, -1, -1], [2, 5, -1, -1]]);
        assert_eq!(take(1, Order::Sequential, AtEnd::Recycle), [1, 4, 1, 4]);
        assert_eq!(take(1, Order::PerUser, AtEnd::Stop), [5; 4]);
        let few = |at_end| rows(&mut cursor(Table::of_range(7, 8), Order::PerUser, at_end, (0, 1)), 1);
        assert_eq!((few(AtEnd::Recycle), few(AtEnd::Fail)), (vec![8], vec![-1]));
        let alone = |at_end| rows(&mut cursor(Table::of_range(7, 7), Order::Sequential, at_end, (2, 3)), 2);
        assert_eq!((alone(AtEnd::Recycle), alone(AtEnd::Stop)), (vec![7, 7], vec![-1, -1]));
        let random = take(0, Order::Random, AtEnd::Recycle);
        assert!(random.iter().all(|n| (0..=6).contains(n)));
    }

    #[test]
    fn files_become_tables() {
        let csv = scratch("a.csv", b"\xef\xbb\xbfname,password\nada,\"x, \"\"y\"\"\nz\"\ngrace,p2\n");
        let table = Table::of_file(&csv, Format::Csv { delimiter: b',' }, None).unwrap();
        assert_eq!((table.columns.clone(), table.rows()), (vec!["name".into(), "password".into()], 2));
        let mut vars = [Value::Unset, Value::Unset];
        let mut c = cursor(table, Order::Sequential, AtEnd::Stop, (0, 1));
        c.read(0, &[(1, 0), (0, 1)], &mut vars).unwrap();
        assert_eq!(vars, [Value::Text("x, \"y\"\nz".into()), Value::Text("ada".into())]);
        let json = scratch("a.json", br#"[{"id":1,"tag":"a"},{"tag":"b"}]"#);
        let table = Table::of_file(&json, Format::Json, None).unwrap();
        let mut c = cursor(table, Order::Sequential, AtEnd::Stop, (0, 1));
        c.read(1, &[(0, 0), (1, 1)], &mut vars).unwrap();
        assert_eq!(vars, [Value::Null, Value::Text("b".into())]);
        let quotes = scratch(
            "quotes.csv",
            b"\xef\xbb\xbf\"a\";\"b\";;\r\n\"x\r\ny\";\"\";\"\"\"\";z\"z\r\n5\" tv;;;\"end\"",
        );
        let table = Table::of_file(&quotes, Format::Csv { delimiter: b';' }, None).unwrap();
        assert_eq!(
            (table.columns.clone(), table.rows()),
            (["a", "b", "", ""].map(str::to_owned).to_vec(), 2)
        );
        std::fs::remove_file(quotes).unwrap();
        let digits = scratch("digits.jsonl", b"{\"id\": 12345678901234567890, \"price\": 1.10}\n");
        let mut c = cursor(
            Table::of_file(&digits, Format::JsonLines, None).unwrap(),
            Order::Random,
            AtEnd::Stop,
            (0, 1),
        );
        c.read(0, &[(0, 0), (1, 1)], &mut vars).unwrap();
        assert_eq!(vars, [Value::of_number("12345678901234567890"), Value::of_number("1.10")]);
        std::fs::remove_file(digits).unwrap();
        for (name, bytes, expected) in [
            ("g.json", &b"[{\"a\":1},{\"a\":\"\\ud800\"}]"[..], "row 2: a text has an escape"),
            ("b.csv", b"a,b\n1\n", "line 2: 1 values, and there are 2 columns"),
            ("open.csv", b"a\nx\n\"y\nz\nz\n", "line 3: its quote is never closed"),
            ("open2.csv", b"a,b\n\"y,2\nz,3\n", "line 2: its quote is never closed"),
            ("open-names.csv", b"\xef\xbb\xbf\"a,b\n1,2\n", "line 1: its quote is never closed"),
            ("middle.csv", b"a\n\"y\n\"z\"\n", "line 3: a quote closes here in the middle"),
            ("twice.csv", b"a,b, a\n1,2,3\n", "line 1: two columns are named `a`"),
            ("short.csv", b"a,b\n1\n\"x\"y,2\n", "line 2: 1 values"),
            ("c.csv", b"a\n\xff\n", "line 2: it is not UTF-8"),
            ("d.csv", b"a\n", "it has no rows"),
            ("e.json", b"{}", "line 1: it is not a JSON list"),
            ("f.jsonl", b"{\"a\":1}\nx\n", "line 2: it is not JSON"),
        ] {
            let path = scratch(name, bytes);
            let error = Table::of_file(&path, format_of(name).unwrap(), None).unwrap_err();
            assert!(error.starts_with(expected), "{name}: {error}");
            std::fs::remove_file(path).unwrap();
        }
        assert!(
            Table::of_file(Path::new("/no/such"), Format::Json, None)
                .unwrap_err()
                .starts_with("no such file")
        );
        std::fs::remove_file(csv).unwrap();
        std::fs::remove_file(json).unwrap();
    }

    #[test]
    fn a_large_file_is_read_in_pieces_and_may_shrink() {
        let line = |n: u64| format!("{n},\"{}\"\n", "x\ny".repeat(300));
        let n = limits::MAX_DATA_IN_MEMORY / line(0).len() as u64 + 1000;
        let text: String = std::iter::once("id,filler\n".to_owned()).chain((0..n).map(line)).collect();
        let path = scratch("large.csv", text.as_bytes());
        let table = Table::of_file(&path, Format::Csv { delimiter: b',' }, None).unwrap();
        assert_eq!(table.rows(), n);
        let Cells::Paged(paged) = &table.cells else { panic!("it lies in memory") };
        assert!(paged.pages.len() as u64 <= n / limits::PAGE_ROWS + 2);
        let mut c = cursor(table, Order::Sequential, AtEnd::Stop, (0, 1));
        let mut vars = [Value::Unset];
        for row in [0, 1, limits::PAGE_ROWS - 1, limits::PAGE_ROWS, n / 2, n - 1, 3] {
            c.read(row, &[(0, 0)], &mut vars).unwrap();
            assert_eq!(vars[0], Value::Text(row.to_string()));
        }
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1000).unwrap();
        assert!(c.read(n - 1, &[(0, 0)], &mut vars).unwrap_err().contains("has changed"));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn large_json_lines_too() {
        let line = |n: u64| format!("{{\"id\":{n},\"filler\":\"{}\"}}\n", "x".repeat(2000));
        let n = limits::MAX_DATA_IN_MEMORY / line(0).len() as u64 + 1000;
        let path = scratch("large.jsonl", (0..n).map(line).collect::<String>().as_bytes());
        let table = Table::of_file(&path, Format::JsonLines, None).unwrap();
        let mut c = cursor(table, Order::Sequential, AtEnd::Stop, (0, 1));
        let mut vars = [Value::Unset];
        for row in [n - 1, 0, 77] {
            c.read(row, &[(0, 0)], &mut vars).unwrap();
            assert_eq!(vars[0], Value::Int(row as i64));
        }
        std::fs::remove_file(path).unwrap();
    }
}
