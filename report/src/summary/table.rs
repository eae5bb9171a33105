//! Columns that line up: the first to the left, the others to the right.

/// Rows of cells. The first row is the heading.
#[derive(Debug, Default)]
pub(super) struct Table(Vec<Vec<String>>);

impl Table {
    pub(super) fn new(heading: &[&str]) -> Table {
        Table(vec![heading.iter().map(|s| (*s).to_owned()).collect()])
    }

    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.0.push(cells);
    }

    /// Whether there is more than the heading.
    pub(super) fn has_rows(&self) -> bool {
        self.0.len() > 1
    }

    pub(super) fn render(&self) -> String {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|c| {
                self.0.iter().filter_map(|row| row.get(c)).map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        let mut out = String::new();
        for row in &self.0 {
            let mut line = String::new();
            for (c, cell) in row.iter().enumerate() {
                match c {
                    0 => line += &format!("{cell:<width$}", width = widths[0].max(14)),
                    _ => line += &format!("  {cell:>width$}", width = widths[c]),
                }
            }
            out += line.trim_end();
            out.push('\n');
        }
        out
    }
}
