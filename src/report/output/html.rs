//! The report as one page that needs nothing else: figures are inside, there
//! is no script, and no request leaves it.

use std::fmt::Write as _;

use super::Report;
use crate::report::item::{Cell, Item, Kind, Table, grouped};

/// Rows of a table on the page; all are in its CSV file.
const ROWS_SHOWN: usize = 40;

/// Figures stay black on white: they are what is printed.
const STYLE: &str = "\
:root{color-scheme:light dark;--text:#111;--paper:#fff;--line:#ddd;--head:#f2f6fa;--dim:#555;--mark:#0072b2}\
@media(prefers-color-scheme:dark){:root{--text:#e6e6e6;--paper:#16181b;--line:#3a3d42;--head:#22262b;--dim:#a8adb4;\
--mark:#56b4e9}}\
body{font:16px/1.45 system-ui,sans-serif;color:var(--text);background:var(--paper);max-width:52rem;margin:0 auto;\
padding:1rem}a{color:var(--mark)}\
h1{font-size:1.6rem}h2{border-bottom:2px solid var(--mark);margin-top:2.5rem}h3{margin-top:2.2rem}\
nav ul{columns:18rem;padding-left:1.2rem}\
table{border-collapse:collapse;font-size:.85rem}\
th,td{padding:.15rem .6rem;border-bottom:1px solid var(--line);text-align:left}\
th{background:var(--head)}td.n{text-align:right;font-variant-numeric:tabular-nums}\
.finding{font-size:1.1rem;border-left:4px solid var(--mark);padding-left:.7rem}\
dl{display:grid;grid-template-columns:8rem 1fr;gap:.2rem .8rem;font-size:.9rem}dt{color:var(--dim)}dd{margin:0}\
figure{margin:1rem 0;overflow-x:auto}svg{max-width:100%;height:auto;display:block}.wide{overflow-x:auto}\
summary{cursor:pointer;margin:.5rem 0}\
@media(max-width:32rem){dl{grid-template-columns:1fr}dt{margin-top:.4rem}}\
@media print{:root{color-scheme:light;--text:#000;--paper:#fff;--line:#ccc;--head:#eee;--dim:#333;--mark:#0072b2}\
body{font-size:10pt;max-width:none;padding:0}nav,details{display:none}\
figure,.finding,dl{break-inside:avoid}h2,h3,.finding{break-after:avoid}svg{max-height:24cm}}";

/// The page.
pub(super) fn page(report: &Report) -> String {
    let mut page =
        String::from("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page += "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n";
    // Whatever a name from outside might hold: nothing is loaded, nothing runs.
    page += "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
             style-src 'unsafe-inline'; img-src data:\">\n";
    let _ = write!(
        page,
        "<title>btda report</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
    );
    page += "<h1>btda report</h1>\n";
    let _ = write!(
        page,
        "<p>{}; thresholds {}. Made from:</p>\n<ul>\n",
        escaped(&report.program),
        report
            .thresholds
            .iter()
            .map(f64::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    );
    for file in &report.files {
        let _ = writeln!(page, "<li>{}</li>", escaped(file));
    }
    page += "</ul>\n";
    for note in &report.notes {
        let _ = writeln!(page, "<p><strong>Note.</strong> {}</p>", escaped(note));
    }
    add_contents(&mut page, report);
    for (kind, title) in KINDS {
        let _ = writeln!(page, "<h2>{title}</h2>");
        for item in report.items.iter().filter(|item| item.kind == kind) {
            add_item(&mut page, report, item);
        }
    }
    page + "</body>\n</html>\n"
}

const KINDS: [(Kind, &str); 3] = [
    (Kind::Thesis, "As in the thesis of 2015"),
    (Kind::Correction, "Corrections"),
    (Kind::Addition, "Additions"),
];

/// Links to the items.
fn add_contents(page: &mut String, report: &Report) {
    page.push_str("<nav aria-label=\"Contents\"><ul>\n");
    for (kind, _) in KINDS {
        for item in report.items.iter().filter(|item| item.kind == kind) {
            let title = escaped(item.title);
            let _ = writeln!(page, "<li><a href=\"#{}\">{title}</a></li>", item.id);
        }
    }
    page.push_str("</ul></nav>\n");
}

fn add_item(page: &mut String, report: &Report, item: &Item) {
    // Writing to a String cannot fail, here and below.
    let _ = writeln!(
        page,
        "<section id=\"{}\">\n<h3>{}</h3>",
        item.id,
        escaped(item.title)
    );
    let _ = writeln!(page, "<p class=\"finding\">{}</p>", escaped(&item.finding));
    for name in &item.figures {
        if let Some(svg) = report.figure(name) {
            let _ = writeln!(
                page,
                "<figure role=\"img\" aria-label=\"{}\">{svg}</figure>",
                escaped(item.title)
            );
        }
    }
    let _ = writeln!(
        page,
        "<dl><dt>Definition</dt><dd>{}</dd><dt>Rule</dt><dd>{}</dd><dt>Sample</dt><dd>{} {}</dd>\
         <dt>Known bias</dt><dd>{}</dd></dl>",
        escaped(item.definition),
        escaped(item.rule),
        grouped(item.sample),
        escaped(item.sample_of),
        escaped(item.bias)
    );
    for table in &item.tables {
        add_table(page, item, table);
    }
    page.push_str("</section>\n");
}

fn add_table(page: &mut String, item: &Item, table: &Table) {
    let _ = writeln!(
        page,
        "<details><summary>{} ({} rows, {})</summary>\n<div class=\"wide\"><table>\n<tr>",
        escaped(&table.title),
        table.rows.len(),
        super::csv_name(item, table)
    );
    for column in &table.columns {
        let unit = column
            .unit
            .map_or_else(String::new, |unit| format!(" / {unit}"));
        let _ = write!(page, "<th>{}{}</th>", escaped(&column.name), escaped(&unit));
    }
    page.push_str("</tr>\n");
    for row in table.rows.iter().take(ROWS_SHOWN) {
        page.push_str("<tr>");
        for cell in row {
            let (class, text) = match cell {
                Cell::Text(text) => ("", escaped(text)),
                Cell::Integer(number) => (" class=\"n\"", number.to_string()),
                Cell::Real(number) => (" class=\"n\"", format!("{number:.2}")),
                Cell::Unknown => ("", "-".to_owned()),
            };
            let _ = write!(page, "<td{class}>{text}</td>");
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table></div>\n");
    if table.rows.len() > ROWS_SHOWN {
        let _ = writeln!(
            page,
            "<p>{} more rows are in the file.</p>",
            table.rows.len() - ROWS_SHOWN
        );
    }
    page.push_str("</details>\n");
}

/// Text that HTML only shows.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_is_only_shown() {
        assert_eq!(
            escaped("<a href='x'>&\""),
            "&lt;a href=&#39;x&#39;&gt;&amp;&quot;"
        );
    }
}
