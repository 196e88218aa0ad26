//! The opt-out list of a run: read once, before anything starts, since a
//! person relies on it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::config::settings::ContactSettings;
use crate::exit::Exit;
use crate::model::{AddressRules, BadLine, NetworkSet};

use super::prepare::{Refusal, refuse};

/// Largest list: some half a million networks.
const SIZE_MAX: u64 = 16 << 20;

/// Bad lines that are named.
const SHOWN_MAX: usize = 10;

/// Whom this run may contact. A list that cannot be read as a whole refuses
/// the run: with half of it, somebody would be contacted who does not want to
/// be.
pub(crate) fn address_rules(settings: &ContactSettings) -> Result<AddressRules, Refusal> {
    let opt_out = match &settings.opt_out_file {
        None => NetworkSet::default(),
        Some(path) => read(path).map_err(|text| {
            let text = format!("opt-out list (contact.opt_out_file) {text}");
            refuse(Exit::Configuration, text)
        })?,
    };
    Ok(AddressRules {
        allow_private: settings.allow_private,
        ipv4_only: !settings.ipv6,
        opt_out,
    })
}

fn read(path: &Path) -> Result<NetworkSet, String> {
    let name = path.display();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(SIZE_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| {
            format!("{name} cannot be read: {error}; make the file, or set the key to \"\"")
        })?;
    if bytes.len() as u64 > SIZE_MAX {
        return Err(format!("{name} is larger than {SIZE_MAX} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let before = error.as_bytes().get(..good).unwrap_or_default();
        let line = before.split(|byte| *byte == b'\n').count();
        format!("{name}:{line}: not UTF-8 text")
    })?;
    NetworkSet::parse(&text).map_err(|bad| described(&name.to_string(), &bad))
}

/// The bad lines by number; what stands there is not repeated, for it may be
/// an address.
fn described(name: &str, bad: &[BadLine]) -> String {
    let shown = bad.iter().take(SHOWN_MAX);
    let mut lines: Vec<String> = shown
        .map(|bad| format!("{name}:{}: {}", bad.line, bad.error))
        .collect();
    if bad.len() > SHOWN_MAX {
        lines.push(format!("and {} more bad lines", bad.len() - SHOWN_MAX));
    }
    lines.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::PaceSettings;

    fn rules(content: &[u8]) -> Result<AddressRules, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("optout.txt");
        std::fs::write(&path, content).unwrap();
        from_file(&path)
    }

    fn from_file(path: &Path) -> Result<AddressRules, String> {
        let settings = ContactSettings {
            pace: PaceSettings::default(),
            peers_max: 1,
            opt_out_file: Some(path.to_owned()),
            allow_private: true,
            ipv6: true,
        };
        address_rules(&settings).map_err(|refusal| {
            assert_eq!(refusal.exit, Exit::Configuration);
            refusal.text
        })
    }

    #[test]
    fn a_list_becomes_rules() {
        let rules = rules(b"# asked by mail\n192.0.2.0/24\n").unwrap();
        assert!(rules.check("192.0.2.77".parse().unwrap()).is_err());
        assert!(rules.check("192.0.3.77".parse().unwrap()).is_ok());
    }

    #[test]
    fn bad_lines_are_named_by_number_without_what_they_say() {
        let error = rules(b"192.0.2.0/24\n198.51.100.9/24\nnobody\n").unwrap_err();
        assert!(
            error.contains("optout.txt:2: the address has bits behind"),
            "{error}"
        );
        assert!(
            error.contains("optout.txt:3: not an IPv4 or IPv6"),
            "{error}"
        );
        assert!(!error.contains("198.51"), "{error}");
        let error = rules(b"1.2.3.4\n\xff\n").unwrap_err();
        assert!(error.contains("optout.txt:2: not UTF-8"), "{error}");
        let error = rules("x\n".repeat(25).as_bytes()).unwrap_err();
        assert!(error.ends_with("and 15 more bad lines"), "{error}");
        let error = from_file(Path::new("/nonexistent/list")).unwrap_err();
        assert!(
            error.contains("cannot be read") && error.contains("set the key"),
            "{error}"
        );
    }
}
