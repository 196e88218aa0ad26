//! Who may know whom, enforced by reading the sources.
//!
//! Only code counts: comments, texts and test modules are left out, but for
//! the rules about words and first lines. A rule whose home exists must find
//! its words there, so that none of them passes because it looks for nothing.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on stops with a panic"
)]

use std::fs;
use std::path::Path;

/// Words that only some files may use.
struct Only {
    what: &'static str,
    words: &'static [&'static str],
    /// Where they belong: beginnings of paths, the first of them being the
    /// home in which at least one word must occur once it exists.
    allowed: &'static [&'static str],
}

const ONLY: &[Only] = &[
    Only {
        what: "sockets and name resolution",
        words: &[
            "TcpStream",
            "TcpListener",
            "UdpSocket",
            "ToSocketAddrs",
            "to_socket_addrs",
            "socket2::",
            "ureq::",
        ],
        // The page takes its connections from the async runtime.
        allowed: &["src/net/", "src/net.rs", "src/lab", "src/web/server.rs"],
    },
    Only {
        what: "the async runtime",
        words: &["tokio::", "axum::", "hyper::", "hyper_util::", "async"],
        allowed: &["src/web"],
    },
    Only {
        what: "asking for the time",
        words: &[
            "Instant::now",
            "SystemTime::now",
            "Local::now",
            "Utc::now",
            ".elapsed()",
        ],
        // The lab is a world of its own, with real clients and real time.
        allowed: &["src/clock.rs", "src/lab"],
    },
    Only {
        what: "SQLite",
        words: &["rusqlite"],
        allowed: &["src/storage"],
    },
    Only {
        what: "places of addresses",
        words: &["maxminddb"],
        allowed: &["src/storage"],
    },
    Only {
        what: "starting threads",
        words: &["thread::spawn", "thread::Builder", "thread::scope"],
        allowed: &["src/threads", "src/lab"],
    },
    Only {
        what: "sleeping through a stop",
        words: &["thread::sleep"],
        // The writer ends after the stop, when there is none to wait for.
        allowed: &["src/lab", "src/storage/writer"],
    },
    Only {
        what: "reading the command line",
        words: &["clap::"],
        allowed: &["src/cli"],
    },
    Only {
        what: "reading the environment",
        words: &[
            "env::var",
            "env::var_os",
            "env::vars",
            "env::vars_os",
            "env::args",
            "env::args_os",
        ],
        allowed: &[
            "src/config.rs",
            "src/logging.rs",
            "src/main.rs",
            "src/lab",
            // Not in a normal build.
            "src/analyzer/runtime/fault.rs",
        ],
    },
];

/// What the files below `of` never use.
struct Never {
    of: &'static [&'static str],
    words: &'static [&'static str],
}

const NEVER: &[Never] = &[
    Never {
        of: &["src/"],
        words: &["unsafe", "#[allow(", "#![allow("],
    },
    Never {
        of: &["src/model", "src/protocol"],
        words: &[
            "crate::net",
            "crate::clock",
            "crate::storage",
            "crate::analyzer",
            "crate::tracker",
            "crate::config",
            "std::fs",
            "std::thread",
            "parking_lot",
            "log::",
        ],
    },
    Never {
        of: &["src/model"],
        words: &["crate::protocol"],
    },
    Never {
        of: &["src/net/", "src/net.rs"],
        words: &["crate::storage", "crate::analyzer"],
    },
    // Of the protocols only the transport below the streams: uTP.
    Never {
        of: &[
            "src/net/datagram",
            "src/net/fake",
            "src/net/guard",
            "src/net/http",
            "src/net/ready",
            "src/net/resolve",
            "src/net/tcp",
            "src/net/udp",
            "src/net.rs",
        ],
        words: &["crate::protocol"],
    },
    Never {
        of: &["src/net/utp"],
        words: &[
            "crate::protocol::bencode",
            "crate::protocol::extension",
            "crate::protocol::frame",
            "crate::protocol::handshake",
            "crate::protocol::message",
            "crate::protocol::metadata",
            "crate::protocol::mse",
        ],
    },
    // Of the DHT node only the threads and the node file touch the system.
    Never {
        of: &[
            "src/dht/node/address",
            "src/dht/node/board",
            "src/dht/node/core",
            "src/dht/node/id",
            "src/dht/node/krpc",
            "src/dht/node/lookup",
            "src/dht/node/machine",
            "src/dht/node/peers_store",
            "src/dht/node/probe",
            "src/dht/node/rate",
            "src/dht/node/reach",
            "src/dht/node/routing",
            "src/dht/node/scrape",
            "src/dht/node/server",
            "src/dht/node/tokens",
            "src/dht/node/transactions",
        ],
        words: &[
            "crate::net",
            "crate::clock",
            "crate::storage",
            "crate::analyzer",
            "crate::threads",
            "std::fs",
            "std::thread",
        ],
    },
    // What a run is, the page learns from figures and from its database.
    Never {
        of: &["src/web"],
        words: &[
            "crate::analyzer",
            "crate::dht",
            "crate::protocol",
            "crate::lab",
        ],
    },
    // Of the observatory, what decides.
    Never {
        of: &[
            "src/observe/naming",
            "src/observe/queue",
            "src/observe/record",
            "src/observe/rules",
            "src/observe/size",
            "src/observe/walk",
        ],
        words: &[
            "crate::net",
            "crate::clock",
            "crate::analyzer",
            "crate::config",
            "crate::threads",
            "std::fs",
            "std::thread",
        ],
    },
    Never {
        of: &["src/storage"],
        words: &["crate::net", "crate::protocol", "crate::tracker"],
    },
    Never {
        of: &["src/report"],
        words: &[
            "crate::net",
            "crate::clock",
            "crate::protocol",
            "crate::analyzer",
            "crate::tracker",
            "crate::config",
            "crate::threads",
        ],
    },
    Never {
        of: &[
            "src/report/figures",
            "src/report/items",
            "src/report/statistics",
            "src/report/tally",
        ],
        words: &["std::fs", "File::"],
    },
];

const LINES_MAX: usize = 400;
const MAIN_LINES_MAX: usize = 60;

/// A source file; paths have slashes and begin with `src/`.
struct Source {
    path: String,
    text: String,
    /// Without comments, texts and test modules; lines keep their numbers.
    code: String,
}

fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found: Vec<Source> = walkdir::WalkDir::new(root.join(folder))
        .sort_by_file_name()
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.path().extension().is_some_and(|end| end == "rs"))
        .map(|entry| {
            let path = entry.path().strip_prefix(root).unwrap();
            let path = path.to_str().unwrap().replace('\\', "/");
            let text = fs::read_to_string(entry.path()).unwrap();
            let code = if is_test_file(&path) {
                String::new()
            } else {
                ungrouped(before_tests(&code_only(&text)))
            };
            Source { path, text, code }
        })
        .collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "nothing below {folder}");
    found
}

fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// The file up to a test module, which stands at the end.
fn before_tests(code: &str) -> &str {
    let mut from = 0;
    while let Some(at) = code[from..].find("#[cfg(test)]") {
        let at = from + at;
        let next = code[at..].lines().nth(1).unwrap_or_default().trim_start();
        if next.split_whitespace().any(|word| word == "mod") {
            return &code[..at];
        }
        from = at + 1;
    }
    code
}

/// `code` with each `a::{b, c}` written as `a::b, a::c`, on the same lines.
fn ungrouped(code: &str) -> String {
    let mut code = code.to_owned();
    while let Some((open, close)) = innermost_group(&code) {
        let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        let path = code[..open].trim_end_matches(is_path).len();
        let prefix = code[path..open].to_owned();
        let items: Vec<_> = code[open + 1..close]
            .split(',')
            .map(|item| {
                let name = item.trim_start();
                let blank = &item[..item.len() - name.len()];
                let name = if name.is_empty() {
                    String::new()
                } else {
                    format!("{prefix}{name}")
                };
                format!("{blank}{name}")
            })
            .collect();
        code.replace_range(path..=close, &items.join(","));
    }
    code
}

/// The braces of a group of imports that has no other inside.
fn innermost_group(code: &str) -> Option<(usize, usize)> {
    code.match_indices("::{").find_map(|(at, _)| {
        let open = at + 2;
        let close = open + code[open..].find('}')?;
        (!code[open + 1..close].contains('{')).then_some((open, close))
    })
}

/// `text` with every comment and the inside of every literal made blank.
fn code_only(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < characters.len() {
        let end = skipped(&characters, at);
        if end == at {
            code.push(characters[at]);
            at += 1;
        } else {
            let inside = &characters[at..end.min(characters.len())];
            code.extend(inside.iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    code
}

/// End of the comment or literal that begins at `at`, or `at` itself.
fn skipped(characters: &[char], at: usize) -> usize {
    let here = |offset: usize| characters.get(at + offset).copied();
    let find = |from: usize, end: &[char]| {
        (from..characters.len())
            .find(|at| characters[*at..].starts_with(end))
            .map_or(characters.len(), |at| at + end.len())
    };
    let after_name = at > 0 && (characters[at - 1].is_alphanumeric() || characters[at - 1] == '_');
    match here(0) {
        Some('/') if here(1) == Some('/') => (at..characters.len())
            .find(|at| characters[*at] == '\n')
            .unwrap_or(characters.len()),
        Some('/') if here(1) == Some('*') => find(at + 2, &['*', '/']),
        Some('"') => end_of_text(characters, at + 1, '"'),
        Some('r') if !after_name => {
            let hashes = characters[at + 1..]
                .iter()
                .take_while(|c| **c == '#')
                .count();
            if here(1 + hashes) != Some('"') {
                return at;
            }
            let end: Vec<char> = std::iter::once('"')
                .chain(std::iter::repeat_n('#', hashes))
                .collect();
            find(at + 2 + hashes, &end)
        }
        // A character, unless it is a lifetime.
        Some('\'') if here(1) == Some('\\') || here(2) == Some('\'') => {
            end_of_text(characters, at + 1, '\'')
        }
        _ => at,
    }
}

fn end_of_text(characters: &[char], from: usize, mark: char) -> usize {
    let mut at = from;
    while at < characters.len() && characters[at] != mark {
        at += if characters[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// Where `word` occurs in code as a whole word: line numbers.
fn uses(code: &str, word: &str) -> Vec<usize> {
    let is_name = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let edge = |c: Option<char>, beside: Option<char>| !(is_name(c) && is_name(beside));
    code.match_indices(word)
        .filter(|(at, _)| {
            edge(code[..*at].chars().next_back(), word.chars().next())
                && edge(
                    code[at + word.len()..].chars().next(),
                    word.chars().next_back(),
                )
        })
        .map(|(at, _)| code[..at].matches('\n').count() + 1)
        .collect()
}

fn begins(path: &str, with: &[&str]) -> bool {
    with.iter().any(|beginning| path.starts_with(beginning))
}

fn assert_none(what: &str, violations: &[String]) {
    assert!(violations.is_empty(), "{what}:\n{}", violations.join("\n"));
}

#[test]
fn some_things_have_one_home() {
    let sources = sources("src");
    for rule in ONLY {
        let mut at_home = 0;
        let mut violations = Vec::new();
        for source in &sources {
            for word in rule.words {
                for line in uses(&source.code, word) {
                    if begins(&source.path, rule.allowed) {
                        at_home += usize::from(source.path.starts_with(rule.allowed[0]));
                    } else {
                        violations.push(format!("{}:{line}: {word}", source.path));
                    }
                }
            }
        }
        assert_none(
            &format!("{} only in {:?}", rule.what, rule.allowed),
            &violations,
        );
        let home = sources
            .iter()
            .any(|source| source.path.starts_with(rule.allowed[0]));
        assert!(
            !home || at_home > 0 || rule.what.starts_with("sleeping"),
            "{} is in none of its files",
            rule.what
        );
    }
}

#[test]
fn some_things_are_never_used() {
    let sources = sources("src");
    for rule in NEVER {
        let violations: Vec<_> = sources
            .iter()
            .filter(|source| begins(&source.path, rule.of))
            .flat_map(|source| {
                rule.words.iter().flat_map(move |word| {
                    uses(&source.code, word)
                        .into_iter()
                        .map(move |line| format!("{}:{line}: {word}", source.path))
                })
            })
            .collect();
        assert_none(&format!("never in {:?}", rule.of), &violations);
    }
}

#[test]
fn every_file_says_what_it_is_and_stays_small() {
    let mut violations = Vec::new();
    for source in sources("src").iter().chain(&sources("tests")) {
        if !source.text.starts_with("//! ") {
            violations.push(format!("{} does not begin with //!", source.path));
        }
        let lines = source.code.lines().count();
        if lines > LINES_MAX && source.path.starts_with("src/") {
            violations.push(format!(
                "{} has {lines} lines without its tests",
                source.path
            ));
        }
        if source.path == "src/main.rs" && lines >= MAIN_LINES_MAX {
            violations.push(format!("src/main.rs has {lines} lines"));
        }
        if source.path.starts_with("src/") && source.path.ends_with("/mod.rs") {
            violations.push(format!("{}: modules are name.rs beside name/", source.path));
        }
    }
    assert_none("files", &violations);
}

#[test]
fn names_say_what_a_thing_does() {
    let sources = sources("src");
    let mut names = 0;
    let mut violations = Vec::new();
    for source in &sources {
        for name in defined(&source.code) {
            names += 1;
            let low = name.to_lowercase();
            let empty = ["manager", "helper", "util"]
                .iter()
                .any(|word| low.contains(word));
            if empty || low.starts_with("get_") {
                violations.push(format!("{}: {name}", source.path));
            }
        }
    }
    assert!(names > 100, "only {names} definitions were found");
    assert_none("names that say nothing", &violations);
}

/// Names of what is defined in `code`.
fn defined(code: &str) -> impl Iterator<Item = &str> {
    let kinds = [
        "struct", "enum", "trait", "type", "mod", "fn", "const", "static",
    ];
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    code.lines().filter_map(move |line| {
        let mut words = line.split_whitespace();
        words.by_ref().find(|word| kinds.contains(word))?;
        let name = words.find(|word| !kinds.contains(word))?;
        Some(name.split(|c| !is_name(c)).next().unwrap_or_default())
    })
}

#[test]
fn nothing_is_left_for_later() {
    // Put together, so that this file does not find itself.
    let marks =
        [["TO", "DO"], ["FIX", "ME"], ["XX", "X"], ["HA", "CK"]].map(|parts| parts.concat());
    let mut violations = Vec::new();
    for source in sources("src").iter().chain(&sources("tests")) {
        for mark in &marks {
            for line in uses(&source.text, mark) {
                violations.push(format!("{}:{line}: {mark}", source.path));
            }
        }
    }
    assert_none("marks of unfinished work", &violations);
}

#[test]
fn texts_and_comments_are_no_code() {
    let text = "a; // unsafe\n/* unsafe\n*/ \"unsafe \\\" unsafe\" r#\"unsafe \" unsafe\"# 'u' '\\'' \
                fn f<'a>(unsafe_name: &'a str) { unsafe {} }\nfor\"unsafe\"";
    let code = code_only(text);
    assert_eq!(uses(&code, "unsafe"), [3], "{code}");
    assert_eq!(code.lines().count(), text.lines().count());
    assert_eq!(uses("x.elapsed()", ".elapsed()"), [1]);
    assert_eq!(uses("std::thread::spawn(", "thread::spawn"), [1]);
    assert_eq!(uses("my_thread::spawner(", "thread::spawn"), [0usize; 0]);
}

#[test]
fn groups_of_imports_are_seen_through() {
    let code = ungrouped("use std::{\n    io,\n    thread::{self, Builder},\n};\nuse a::B;");
    assert_eq!(uses(&code, "thread::Builder"), [3], "{code}");
    assert_eq!(uses(&code, "std::io"), [2], "{code}");
    assert_eq!(uses(&code, "a::B"), [5], "{code}");
}

#[test]
fn test_modules_are_no_code() {
    let code = "fn a() {}\n#[cfg(test)]\nfn b() {}\n#[cfg(test)]\nmod tests {\n";
    assert_eq!(before_tests(code), "fn a() {}\n#[cfg(test)]\nfn b() {}\n");
    assert_eq!(before_tests("fn a() {}"), "fn a() {}");
    assert!(is_test_file("src/config/tests.rs"));
    assert!(!is_test_file("src/latests.rs"));
}
