//! Shares as lying bars with their names and numbers: outcomes, host names.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::columns::{numbers, texts};
use super::panels::short;
use super::{AXIS, BLUE, DrawError, LABEL, ORANGE, TITLE, WIDTH};
use crate::report::item::{Item, Table, grouped, shown_percent};

/// Where bars begin, and how long the longest is.
const LEFT: i32 = 276;
const LENGTH: i32 = 330;
const TOP: i32 = 48;
const ROW: i32 = 21;
const HEADING: i32 = 30;
const BELOW: i32 = 58;
/// Characters of a name that have room left of the bars.
const NAME_LENGTH: usize = 36;

/// A bar.
struct Rank {
    name: String,
    /// Percent.
    share: f64,
    count: f64,
    colour: RGBColor,
}

/// Bars below a heading; none above the first if it is empty.
struct Group {
    heading: String,
    ranks: Vec<Rank>,
}

/// Outcomes by event, the commonest first.
pub(super) fn outcomes(item: &Item, table: &Table) -> Result<String, DrawError> {
    let (events, names) = (texts(table, "event"), texts(table, "outcome"));
    let (counts, shares) = (numbers(table, "count"), numbers(table, "share"));
    let mut groups: Vec<Group> = Vec::new();
    for (place, event) in events.iter().enumerate() {
        let at = |of: &[Option<f64>]| of.get(place).copied().flatten();
        let name = names.get(place).cloned().unwrap_or_default();
        let (Some(count), Some(share)) = (at(&counts), at(&shares)) else {
            continue;
        };
        let colour = if name == "success" { BLUE } else { ORANGE };
        let rank = Rank {
            name,
            share,
            count,
            colour,
        };
        match groups.last_mut().filter(|it| it.heading == *event) {
            Some(group) => group.ranks.push(rank),
            None => groups.push(Group {
                heading: event.clone(),
                ranks: vec![rank],
            }),
        }
    }
    for group in &mut groups {
        group.ranks.sort_by(|a, b| b.count.total_cmp(&a.count));
    }
    let title = format!("{}, n = {}", item.title, grouped(item.sample));
    draw(
        &title,
        "Share of the visits of its kind / %",
        100.0,
        &groups,
    )
}

/// The commonest host names.
pub(super) fn hosts(item: &Item, table: &Table) -> Result<String, DrawError> {
    let counts = numbers(table, "peers").into_iter();
    let shares = numbers(table, "share").into_iter();
    let names = texts(table, "host").into_iter();
    let ranks = names
        .zip(counts)
        .zip(shares)
        .filter_map(|((name, count), share)| {
            Some(Rank {
                name,
                share: share?,
                count: count?,
                colour: BLUE,
            })
        });
    let ranks: Vec<Rank> = ranks.collect();
    let top = ranks.iter().map(|it| it.share).fold(0.0, f64::max);
    let groups = [Group {
        heading: String::new(),
        ranks,
    }];
    let title = format!("Commonest host names, n = {}", grouped(item.sample));
    draw(&title, "Share of the peers with a name / %", top, &groups)
}

/// Draws the groups below each other; the longest bar stands for `top`.
fn draw(title: &str, x: &str, top: f64, groups: &[Group]) -> Result<String, DrawError> {
    let rows: usize = groups.iter().map(|it| it.ranks.len()).sum();
    let headings = groups.iter().filter(|it| !it.heading.is_empty()).count();
    let plot = i32::try_from(rows)? * ROW + i32::try_from(headings)? * HEADING;
    let bottom = TOP + plot;
    let mut svg = String::new();
    {
        let size = (WIDTH, u32::try_from(bottom + BELOW)?);
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE)?;
        let middle = i32::try_from(WIDTH)? / 2;
        say(&area, title, (middle, 20), (TITLE, HPos::Center))?;
        scale(&area, x, top, bottom)?;
        let mut y = TOP;
        for group in groups {
            if !group.heading.is_empty() {
                say(
                    &area,
                    &group.heading,
                    (LEFT, y + HEADING / 2 + 4),
                    (AXIS, HPos::Left),
                )?;
                y += HEADING;
            }
            for rank in &group.ranks {
                one(&area, rank, top, y)?;
                y += ROW;
            }
        }
        area.present()?;
    }
    Ok(svg)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// Lines at round numbers, with these below.
fn scale(area: &Area<'_>, x: &str, top: f64, bottom: i32) -> Result<(), DrawError> {
    let step = round_step(top);
    let mut tick = 0.0;
    while tick <= top * 1.001 {
        let at = place(tick, top);
        let line = PathElement::new([(at, TOP), (at, bottom)], BLACK.mix(0.15));
        area.draw(&line)?;
        say(area, &short(tick), (at, bottom + 12), (LABEL, HPos::Center))?;
        tick += step;
    }
    say(
        area,
        x,
        (LEFT + LENGTH / 2, bottom + 36),
        (AXIS, HPos::Center),
    )
}

fn one(area: &Area<'_>, rank: &Rank, top: f64, y: i32) -> Result<(), DrawError> {
    let (end, middle) = (place(rank.share, top), y + ROW / 2);
    let corners = [(LEFT, y + 3), (end.max(LEFT + 1), y + ROW - 3)];
    area.draw(&Rectangle::new(corners, rank.colour.filled()))?;
    let mut name: String = rank.name.chars().take(NAME_LENGTH).collect();
    if name.len() < rank.name.len() {
        name.push('…');
    }
    say(area, &name, (LEFT - 8, middle), (LABEL, HPos::Right))?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count"
    )]
    let count = grouped(rank.count as u64);
    let said = format!("{} ({count})", shown_percent(Some(rank.share)));
    say(area, &said, (end + 8, middle), (LABEL, HPos::Left))
}

/// Writes `text` of a height beside `at`, centred on its line.
pub(super) fn say(
    area: &Area<'_>,
    text: &str,
    at: (i32, i32),
    (height, anchor): (i32, HPos),
) -> Result<(), DrawError> {
    let style = TextStyle::from(("sans-serif", height)).pos(Pos::new(anchor, VPos::Center));
    area.draw(&Text::new(text.to_owned(), at, style))?;
    Ok(())
}

/// Where a share ends.
fn place(share: f64, top: f64) -> i32 {
    let part = if top > 0.0 { share / top } else { 0.0 };
    #[expect(clippy::cast_possible_truncation, reason = "within the figure")]
    let length = (part.clamp(0.0, 1.0) * f64::from(LENGTH)).round() as i32;
    LEFT + length
}

/// A step of 1, 2 or 5 times a power of ten, of which at most six fit.
fn round_step(top: f64) -> f64 {
    let power = 10_f64.powf((top.max(1e-6) / 6.0).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|it| it * power);
    let fits = steps.into_iter().find(|step| top / step <= 6.0);
    fits.unwrap_or(power * 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_and_few() {
        for (top, step) in [
            (100.0, 20.0),
            (1.0, 0.2),
            (7.3, 2.0),
            (12.1, 5.0),
            (0.05, 0.01),
        ] {
            assert!((round_step(top) / step - 1.0).abs() < 1e-9, "{top}");
        }
        assert!(round_step(0.0) > 0.0);
    }

    #[test]
    fn long_names_are_cut_and_bars_end_inside() {
        let rank = |name: &str, share| Rank {
            name: name.to_owned(),
            share,
            count: 1_234_567.0,
            colour: BLUE,
        };
        let groups = [Group {
            heading: "Later contact".to_owned(),
            ranks: vec![rank(&"ä".repeat(99), 250.0), rank("short", 0.0)],
        }];
        let svg = draw("t", "x", 100.0, &groups).unwrap();
        assert!(svg.contains(&format!("{}…", "ä".repeat(NAME_LENGTH))));
        assert!(!svg.contains(&"ä".repeat(NAME_LENGTH + 1)));
        assert!(svg.contains("250.0 % (1,234,567)") && svg.contains("Later contact"));
        assert_eq!(place(250.0, 100.0), LEFT + LENGTH);
    }
}
