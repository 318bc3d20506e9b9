//! The tables at the end of a test run: what tests have measured, one line each.

use std::fs;
use std::path::Path;

/// Prints the lines that tests have left in the folder of a run, if any has.
///
/// A test leaves a file `<its name>.row` there with the heading of its table in its first line and its own row in the
/// second, the cells parted by tabs.
pub(crate) fn print(folder: &Path) {
    for lines in tables(folder) {
        eprintln!("\n{}", aligned(&lines));
    }
}

/// Makes a table of each heading: the heading once, then the rows by the names of their files.
fn tables(folder: &Path) -> Vec<Vec<Vec<String>>> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut paths: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "row")).collect();
    paths.sort();
    let mut tables: Vec<Vec<Vec<String>>> = Vec::new();
    for text in paths.iter().filter_map(|path| fs::read_to_string(path).ok()) {
        let mut lines = text.lines().map(|line| line.split('\t').map(str::to_string).collect::<Vec<_>>());
        let Some(heading) = lines.next() else { continue };
        match tables.iter_mut().find(|table| table[0] == heading) {
            Some(table) => table.extend(lines),
            None => tables.push(std::iter::once(heading).chain(lines).collect()),
        }
    }
    tables
}

/// The cells under each other: the first column to the left, which is text, the others to the right.
fn aligned(lines: &[Vec<String>]) -> String {
    let n_columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width_of = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..n_columns).map(width_of).collect();
    let mut text = String::new();
    for line in lines {
        for (column, (cell, &width)) in line.iter().zip(&widths).enumerate() {
            text += &match column {
                0 => format!("{cell:<width$}"),
                _ => format!("  {cell:>width$}"),
            };
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{env, process};

    #[test]
    fn rows_stand_under_their_heading_in_the_order_of_their_names() {
        let folder = env::temp_dir().join(format!("redisdb-table-{}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        for (name, row) in [("b", "killed\t10"), ("a", "é\t7")] {
            fs::write(folder.join(format!("{name}.row")), format!("fault\tn\n{row}\n")).unwrap();
        }
        fs::write(folder.join("aa.row"), "load\tMiB\nall\t1\n").unwrap();
        fs::write(folder.join("4711"), "24000").unwrap();
        let tables: Vec<_> = tables(&folder).iter().map(|lines| aligned(lines)).collect();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(tables, ["fault    n\né        7\nkilled  10\n", "load  MiB\nall     1\n"]);
    }
}
