//! A database of places as large as it must be for a look-up to cost what it
//! costs in a real one: 65,536 networks, 4,096 cities, in the form of
//! `GeoLite2 City` (mmdb 2.0, IPv4, 24-bit records).

/// Levels of the search tree; each network has so many bits.
const DEPTH: u32 = 16;

/// Different cities.
const CITIES: usize = 4096;

/// Kinds of values.
const TEXT: u8 = 2;
const DOUBLE: u8 = 3;
const SHORT: u8 = 5;
const LONG: u8 = 6;
const MAP: u8 = 7;

/// The file.
pub(crate) fn file() -> Vec<u8> {
    let (mut cities, mut data) = (Vec::new(), Vec::new());
    for number in 0..CITIES {
        cities.push(data.len());
        city(number, &mut data);
    }
    let nodes = (1_usize << DEPTH) - 1;
    let mut file = Vec::new();
    // A whole tree: the children of node n are 2n + 1 and 2n + 2.
    for record in 1..=2 * nodes {
        let record = match record.checked_sub(nodes) {
            // Neighbouring networks are often in the same city.
            Some(network) => nodes + 16 + cities[network / 3 % CITIES],
            None => record,
        };
        let bytes = u32::try_from(record).expect("small").to_be_bytes();
        file.extend(&bytes[1..]);
    }
    file.extend([0; 16]);
    file.extend(data);
    file.extend(b"\xab\xcd\xefMaxMind.com");
    metadata(nodes, &mut file);
    file
}

fn city(number: usize, out: &mut Vec<u8>) {
    let letter = |number: usize| char::from(b'A' + u8::try_from(number % 26).expect("small"));
    let code = format!("{}{}", letter(number / 64 / 26), letter(number / 64));
    let degrees = |number: usize| number as f64 + 0.5;
    control(MAP, 4, out);
    text("country", out);
    control(MAP, 2, out);
    text("iso_code", out);
    text(&code, out);
    names(&format!("Country {code}"), out);
    text("subdivisions", out);
    // A list of one: its kind is an extended one.
    out.extend([1, 4]);
    control(MAP, 2, out);
    text("iso_code", out);
    text(&code, out);
    names(&format!("Part {}", number / 16), out);
    text("city", out);
    control(MAP, 1, out);
    names(&format!("City {number}"), out);
    text("location", out);
    control(MAP, 3, out);
    text("latitude", out);
    control(DOUBLE, 8, out);
    out.extend(degrees(number / 64).to_be_bytes());
    text("longitude", out);
    control(DOUBLE, 8, out);
    out.extend(degrees(number % 64).to_be_bytes());
    text("accuracy_radius", out);
    control(SHORT, 1, out);
    out.push(20);
}

fn names(name: &str, out: &mut Vec<u8>) {
    text("names", out);
    control(MAP, 1, out);
    text("en", out);
    text(name, out);
}

fn metadata(nodes: usize, out: &mut Vec<u8>) {
    control(MAP, 9, out);
    text("node_count", out);
    control(LONG, 4, out);
    out.extend(u32::try_from(nodes).expect("small").to_be_bytes());
    for (key, value) in [
        ("record_size", 24),
        ("ip_version", 4),
        ("binary_format_major_version", 2),
        ("binary_format_minor_version", 0),
    ] {
        text(key, out);
        control(SHORT, 1, out);
        out.push(value);
    }
    text("database_type", out);
    text("GeoLite2-City", out);
    text("build_epoch", out);
    // 64 bits: an extended kind.
    out.extend([4, 2]);
    out.extend(1_700_000_000_u32.to_be_bytes());
    text("languages", out);
    out.extend([1, 4]);
    text("en", out);
    text("description", out);
    control(MAP, 1, out);
    text("en", out);
    text("Places of a benchmark", out);
}

fn text(text: &str, out: &mut Vec<u8>) {
    control(TEXT, text.len(), out);
    out.extend(text.as_bytes());
}

/// All sizes here are below 29 and fit in the first byte.
fn control(kind: u8, size: usize, out: &mut Vec<u8>) {
    let size = u8::try_from(size).ok().filter(|size| *size < 29);
    out.push(kind << 5 | size.expect("short"));
}
