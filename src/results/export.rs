//! `btda export`: tables for other programs, and what the scripts of 2015 want
//! of a single run.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::combine::{refused, told};
use crate::exit::Exit;
use crate::storage::combine::{Purpose, combine};
use crate::storage::export::{Export, ExportError, Format};
use crate::terminal::complain;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExportOptions {
    /// The database.
    pub database: PathBuf,
    /// What of it.
    pub what: What,
    /// How tables are written.
    pub format: Format,
    /// A file, or a folder for several tables; standard output without it.
    pub output: Option<PathBuf>,
}

/// What is exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// These tables, in this order; all where none is named.
    Tables(Vec<String>),
    /// The meaning of every column.
    Dictionary,
    /// A database with `vm`, sets and thresholds.
    ForR,
}

impl Default for What {
    fn default() -> Self {
        Self::Tables(Vec::new())
    }
}

/// Runs the command. Somebody who stops reading the output is no failure.
pub fn run(options: &ExportOptions) -> Exit {
    let done = match (&options.what, &options.output) {
        (What::ForR, output) => return for_r(&options.database, output.as_deref()),
        (What::Dictionary, output) => dictionary(&options.database, output.as_deref()),
        (What::Tables(tables), output) => match (tables.as_slice(), output) {
            ([table], output) => one_table(options, table, output.as_deref()),
            (tables, Some(output)) => folder(options, tables, output),
            (_, None) => {
                complain(
                    "several tables do not go to standard output: name one with --table, or a folder with -o",
                );
                return Exit::Usage;
            }
        },
    };
    match done {
        Ok(()) => Exit::Success,
        Err(ExportError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            Exit::Success
        }
        Err(error) => {
            complain(&error.to_string());
            match error {
                ExportError::NoTable(..) => Exit::Usage,
                ExportError::Output(_) => Exit::OutputNotWritable,
                _ => Exit::Failed,
            }
        }
    }
}

fn for_r(database: &Path, output: Option<&Path>) -> Exit {
    let beside = || {
        let name = database.to_string_lossy();
        let stem = name.strip_suffix(".sqlite").unwrap_or(&name);
        PathBuf::from(format!("{stem}_r.sqlite"))
    };
    let output = output.map_or_else(beside, Path::to_owned);
    match combine(&[database.to_owned()], &output, Purpose::SingleRun) {
        Ok(made) => told(&made),
        Err(error) => refused(&error),
    }
}

fn dictionary(database: &Path, output: Option<&Path>) -> Result<(), ExportError> {
    let text = Export::open(database)?.dictionary()?;
    if let Some(path) = output {
        return into_file(path, |file| Ok(file.write_all(text.as_bytes())?));
    }
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

fn one_table(
    options: &ExportOptions,
    table: &str,
    output: Option<&Path>,
) -> Result<(), ExportError> {
    let export = Export::open(&options.database)?;
    if let Some(path) = output {
        return into_file(path, |file| {
            export.write(table, options.format, file).map(drop)
        });
    }
    let mut out = BufWriter::new(io::stdout().lock());
    export.write(table, options.format, &mut out).map(drop)
}

/// A file for each table, and the dictionary; all of one moment.
fn folder(options: &ExportOptions, tables: &[String], output: &Path) -> Result<(), ExportError> {
    let export = Export::open(&options.database)?;
    let all = match tables {
        [] => export.tables()?,
        some => some.to_vec(),
    };
    fs::create_dir_all(output).map_err(|error| not_written(output, &error))?;
    for table in all {
        let path = output.join(format!("{table}.{}", options.format.ending()));
        into_file(&path, |file| {
            let rows = export.write(&table, options.format, file)?;
            complain(&format!("{rows} rows in {}", path.display()));
            Ok(())
        })?;
    }
    let text = export.dictionary()?;
    into_file(&output.join("dictionary.json"), |file| {
        Ok(file.write_all(text.as_bytes())?)
    })
}

/// Writes a file as a whole or not at all.
fn into_file(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let failed = |error: io::Error| not_written(path, &error);
    let mut file = BufWriter::new(File::create(&temporary).map_err(failed)?);
    let written = write(&mut file).and_then(|()| {
        file.flush().map_err(failed)?;
        fs::rename(&temporary, path).map_err(failed)
    });
    if written.is_err() {
        // Half a table helps nobody.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn not_written(path: &Path, error: &io::Error) -> ExportError {
    let text = format!(
        "{}: {error}; check free space and permissions",
        path.display()
    );
    ExportError::Output(io::Error::new(error.kind(), text))
}
