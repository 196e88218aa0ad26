//! Items 7 to 9: speeds and peers by country, and host names.

use std::collections::BTreeMap;

use super::{percent, sum};
use crate::report::ReportError;
use crate::report::inputs::Study;
use crate::report::item::{Item, Kind, Table, cells, grouped, shown_percent};
use crate::report::statistics::quantile::{BoxPlot, Quantiles, Whiskers, fences};
use crate::report::tally::{HostNames, country_of};
use crate::storage::archive::Names;

/// Countries of the box plot of 2015: those with most samples.
const COUNTRIES_SHOWN: usize = 70;
const QUARTILES: [f64; 3] = [0.25, 0.5, 0.75];

type Country = Option<[u8; 2]>;

/// Speeds in kB/s as box plots: of all peers, and without callers.
pub(super) struct Speeds {
    all: Boxes,
    contacted: Boxes,
}

/// Box plots by country, most samples first, and of all together.
struct Boxes {
    by_country: Vec<(Country, BoxPlot)>,
    total: Option<BoxPlot>,
}

/// Name of a country in tables.
fn code(country: Country) -> String {
    country.map_or_else(
        || "unknown".to_owned(),
        |code| code.iter().map(|it| char::from(*it)).collect(),
    )
}

impl Speeds {
    /// Reads the sorted speeds.
    pub(super) fn of(study: &Study) -> Result<Self, ReportError> {
        Ok(Self {
            all: Boxes::of(study, true)?,
            contacted: Boxes::of(study, false)?,
        })
    }

    /// The item of the thesis, or the one without callers.
    pub(super) fn item(&self, without_callers: bool) -> Item {
        let boxes = if without_callers {
            &self.contacted
        } else {
            &self.all
        };
        let n = boxes.total.map_or(0, |it| it.n);
        let finding = boxes.total.map_or_else(
            || "No peer has a positive speed.".to_owned(),
            |it| {
                format!(
                    "Half of the {} peers with a positive speed reached {:.1} kB/s or more (middle half: \
                     {:.1} to {:.1} kB/s).",
                    grouped(it.n),
                    it.median,
                    it.q1,
                    it.q3
                )
            },
        );
        let rule = "max_speed * piece_size / 1000 in kB/s where max_speed > 0; quantiles: R's type 7; \
                    whiskers: furthest value within 1.5 interquartile ranges of the logarithms";
        let (id, title, kind, bias) = if without_callers {
            (
                "speed_of_contacted",
                "Speeds without callers",
                Kind::Correction,
                "Callers are left out: in 2015, and with run.identity = \"2015\", all that call from one \
                 address are one peer, so the difference of two peers' pieces can look like speed. What is left is still the mean between two \
                 visits: short bursts do not show, and slow peers are over-represented, since they are \
                 visited more often.",
            )
        } else {
            (
                "speed",
                "Speed of downloads by country",
                Kind::Thesis,
                "The greatest of several means between two visits: higher for peers that were visited \
                 more often. Negative values (pieces lost, or several callers of one address) are \
                 dropped, which makes the rest look faster. Countries of small samples say little.",
            )
        };
        Item {
            id,
            title,
            kind,
            definition: "The greatest difference of pieces between two consecutive visits of a peer, \
                         divided by the time between them.",
            rule,
            sample: n,
            sample_of: "peers with a positive speed",
            bias,
            finding,
            tables: vec![boxes.table()],
            figures: Vec::new(),
        }
    }
}

impl Boxes {
    fn of(study: &Study, with_callers: bool) -> Result<Self, ReportError> {
        let counts = Counts::of(&study.tally.peers.speeds, with_callers);
        let mut quartiles = counts.quantiles();
        let mut total = Quantiles::new(counts.total, &QUARTILES);
        let wanted = |key: u32| with_callers || !country_of(key).1;
        study.speeds.each_by_value(|key, value| {
            if wanted(key) {
                total.push(value);
                if let Some(of_country) = quartiles.get_mut(&country_of(key).0) {
                    of_country.push(value);
                }
            }
        })?;
        let mut whiskers: BTreeMap<Country, Whiskers> = quartiles
            .iter()
            .map(|(country, it)| (*country, whiskers_of(it)))
            .collect();
        let mut of_all = whiskers_of(&total);
        study.speeds.each_by_group(|key, value| {
            if wanted(key) {
                of_all.push(value);
                if let Some(of_country) = whiskers.get_mut(&country_of(key).0) {
                    of_country.push(value);
                }
            }
        })?;
        let mut by_country: Vec<(Country, BoxPlot)> = whiskers
            .iter()
            .filter_map(|(country, it)| Some((*country, finished(it, quartiles.get(country)?)?)))
            .collect();
        by_country.sort_by(|a, b| b.1.n.cmp(&a.1.n).then(a.0.cmp(&b.0)));
        Ok(Self {
            by_country,
            total: finished(&of_all, &total),
        })
    }

    fn table(&self) -> Table {
        let columns = [
            "country:t",
            "n:i",
            "min:r:kB/s",
            "whisker_low:r:kB/s",
            "q1:r:kB/s",
            "median:r:kB/s",
            "q3:r:kB/s",
            "whisker_high:r:kB/s",
            "max:r:kB/s",
            "outliers:i",
            "shown_in_2015:t",
        ];
        let mut table = Table::new("countries", "Speeds by country", &columns);
        let total = self.total.iter().map(|it| ("total".to_owned(), it, false));
        let mut place = 0;
        let countries = self.by_country.iter().map(|(country, it)| {
            place += usize::from(country.is_some());
            (
                code(*country),
                it,
                country.is_some() && place <= COUNTRIES_SHOWN,
            )
        });
        for (name, it, shown) in total.chain(countries) {
            table.row(cells![
                name,
                it.n,
                it.min,
                it.whisker_low,
                it.q1,
                it.median,
                it.q3,
                it.whisker_high,
                it.max,
                it.outliers,
                if shown { "yes" } else { "no" },
            ]);
        }
        table
    }
}

/// How many speeds there are by country.
struct Counts {
    by_country: BTreeMap<Country, u64>,
    total: u64,
}

impl Counts {
    fn of(speeds: &BTreeMap<u32, u64>, with_callers: bool) -> Self {
        let mut counts = Self {
            by_country: BTreeMap::new(),
            total: 0,
        };
        for (&key, &count) in speeds {
            let (country, called) = country_of(key);
            if with_callers || !called {
                *counts.by_country.entry(country).or_default() += count;
                counts.total += count;
            }
        }
        counts
    }

    fn quantiles(&self) -> BTreeMap<Country, Quantiles> {
        let each = self.by_country.iter();
        each.map(|(country, count)| (*country, Quantiles::new(*count, &QUARTILES)))
            .collect()
    }
}

fn quartiles(of: &Quantiles) -> Option<(f64, f64, f64)> {
    match of.values().as_slice() {
        [Some(q1), Some(median), Some(q3)] => Some((*q1, *median, *q3)),
        _ => None,
    }
}

fn whiskers_of(of: &Quantiles) -> Whiskers {
    let (q1, _, q3) = quartiles(of).unwrap_or_default();
    Whiskers::new(fences(q1, q3, true))
}

fn finished(whiskers: &Whiskers, of: &Quantiles) -> Option<BoxPlot> {
    let (q1, median, q3) = quartiles(of)?;
    whiskers.finish(q1, median, q3)
}

pub(super) fn countries(study: &Study) -> Item {
    let countries = &study.tally.peers.countries;
    let all = sum(countries.values().copied());
    let mut sorted: Vec<_> = countries.iter().map(|(it, count)| (*it, *count)).collect();
    sorted.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    let columns = ["country:t", "peers:i", "share:r:%"];
    let mut table = Table::new("countries", "Peers by country", &columns);
    for (country, count) in &sorted {
        table.row(cells![code(*country), *count, percent(*count, all)]);
    }
    let known: Vec<_> = sorted
        .iter()
        .filter(|(country, _)| country.is_some())
        .collect();
    let most: Vec<_> = known
        .iter()
        .take(3)
        .map(|(country, count)| {
            format!("{} {}", code(*country), shown_percent(percent(*count, all)))
        })
        .collect();
    Item {
        id: "countries",
        title: "Peers by country",
        kind: Kind::Thesis,
        definition: "Peers that were visited successfully, by the country of their address.",
        rule: "count of peer by country; unknown: no geolocation database, or not in it",
        sample: all,
        sample_of: "peers",
        bias: "Only peers that answered or called: countries with many peers behind a NAT are too low. \
               Peers in VPNs and rented servers count where these are. A peer counts once for each \
               torrent and address it had.",
        finding: if most.is_empty() {
            "No peer has a country: the run had no geolocation database.".to_owned()
        } else {
            format!(
                "Peers are in {} countries, most of them in {}.",
                known.len(),
                most.join(", ")
            )
        },
        tables: vec![table],
        figures: Vec::new(),
    }
}

/// A table of names, the commonest first.
fn named(id: &'static str, title: &str, column: &'static str, names: &Names) -> Table {
    let mut table = Table::new(id, title, &[column, "peers:i", "share:r:%"]);
    for (name, count) in &names.commonest {
        table.row(cells![name.as_str(), *count, percent(*count, names.named)]);
    }
    table
}

pub(super) fn hosts(study: &Study) -> Item {
    let HostNames {
        hosts,
        domains,
        outcomes,
    } = &study.tally.hosts;
    let asked = sum(outcomes.values().copied());
    let columns = ["outcome:t", "peers:i", "share:r:%"];
    let mut ended = Table::new("outcomes", "How look-ups ended", &columns);
    for (outcome, count) in outcomes {
        ended.row(cells![outcome.as_str(), *count, percent(*count, asked)]);
    }
    let finding = match hosts.commonest.first() {
        None if asked > 0 => format!("None of the {} peers looked up has a name.", grouped(asked)),
        None => "The results have no host names: reverse DNS was off.".to_owned(),
        Some((host, count)) => format!(
            "The commonest of the {} shown is {host} with {} of {} peers that have a name.",
            hosts.commonest.len(),
            shown_percent(percent(*count, hosts.named)),
            grouped(hosts.named)
        ),
    };
    Item {
        id: "hosts",
        title: "Providers by host name",
        kind: Kind::Thesis,
        definition: "Peers by the last two labels of their host name, and by registrable domain.",
        rule: "count of peer by host, 50 commonest: table host, else column host, else the file \
               _hosts.sqlite; domains: the public suffix list, registries only",
        sample: hosts.named,
        sample_of: "peers with a host name",
        bias: "Addresses without a name are missing, and the last two labels are no provider where \
               names end in two labels that many share (co.uk, com.br): domains put that right, for \
               runs of today.",
        finding,
        tables: vec![
            named("hosts", "Commonest host names", "host:t", hosts),
            named(
                "domains",
                "Commonest registrable domains",
                "domain:t",
                domains,
            ),
            ended,
        ],
        figures: Vec::new(),
    }
}
