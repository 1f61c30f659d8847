//! A table for people: no boxes, so that it can be cut and grepped.

use comfy_table::{ContentArrangement, presets};

/// Rows under a heading.
#[derive(Debug)]
pub(crate) struct Table(comfy_table::Table);

impl Table {
    /// An empty table.
    pub(crate) fn new(heading: &[&str]) -> Table {
        let mut table = comfy_table::Table::new();
        table.load_preset(presets::NOTHING);
        table.set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(heading.iter().copied());
        Table(table)
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: &[String]) {
        self.0.add_row(cells.iter().map(|c| super::safe(c)));
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for line in self.0.lines() {
            // comfy-table pads every cell by one space on both sides.
            writeln!(f, "{}", line.strip_prefix(' ').unwrap_or(&line).trim_end())?;
        }
        Ok(())
    }
}
