//! Keeps the routing table from run to run.
//!
//! Read when a node thread starts, written every ten minutes and at its end,
//! on that thread. The file holds addresses of other people's nodes, so it
//! exists only where [`super::settings::DhtSettings::state_file`] asks for
//! it.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::address::{Family, NodeInfo};
use super::id::NodeId;
use crate::model::{InfoHash, PeerAddress};

/// Version of the file.
const VERSION: u32 = 1;

/// Bytes read at most.
const FILE_MAX: u64 = 256 * 1024;

/// Nodes written at most.
const SAVED_MAX: usize = 1000;

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SavedNodes {
    /// Our id.
    pub id: Option<NodeId>,
    /// Nodes that answered lately.
    pub nodes: Vec<NodeInfo>,
}

/// The form in the file.
#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    id: Option<String>,
    nodes: Vec<StoredNode>,
}

#[derive(Serialize, Deserialize)]
struct StoredNode {
    id: String,
    address: SocketAddr,
}

/// The file of one address family.
pub fn file_of(base: &Path, family: Family) -> PathBuf {
    let end = match family {
        Family::V4 => ".v4.json",
        Family::V6 => ".v6.json",
    };
    let mut name = base.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Reads the file; a missing one is no nodes.
///
/// # Errors
/// When it cannot be read, is too large, of another version or no JSON of
/// ours.
pub fn load(path: &Path) -> io::Result<SavedNodes> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(SavedNodes::default()),
        other => other?,
    };
    let mut text = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut text)?;
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
    if u64::try_from(text.len()).is_ok_and(|length| length > FILE_MAX) {
        return Err(wrong("too large"));
    }
    // The text of the parser's error could name an address.
    let stored: Stored = serde_json::from_slice(&text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        wrong(&format!("no node file: line {line} column {column}"))
    })?;
    if stored.version != VERSION {
        return Err(wrong("a node file of another version"));
    }
    let nodes = stored.nodes.iter().take(SAVED_MAX);
    Ok(SavedNodes {
        id: stored.id.as_deref().and_then(parse_id),
        nodes: nodes.filter_map(StoredNode::read).collect(),
    })
}

/// Writes the file under a temporary name and puts it in place.
pub fn save(path: &Path, saved: &SavedNodes) -> io::Result<()> {
    let stored = Stored {
        version: VERSION,
        id: saved.id.map(|id| id.to_string()),
        nodes: saved
            .nodes
            .iter()
            .take(SAVED_MAX)
            .map(|node| StoredNode {
                id: node.id.to_string(),
                address: node.address.socket_addr(),
            })
            .collect(),
    };
    let text = serde_json::to_vec(&stored)?;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    let mut file = File::create(&temporary)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

impl StoredNode {
    fn read(&self) -> Option<NodeInfo> {
        Some(NodeInfo {
            id: parse_id(&self.id)?,
            address: PeerAddress::from(self.address),
        })
    }
}

fn parse_id(text: &str) -> Option<NodeId> {
    text.parse::<InfoHash>().ok().map(NodeId::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(count: u8) -> SavedNodes {
        SavedNodes {
            id: Some(NodeId::new([7; 20])),
            nodes: (0..count)
                .map(|number| NodeInfo {
                    id: NodeId::new([number; 20]),
                    address: PeerAddress::from_compact([20, 0, 0, number, 1, 1]),
                })
                .collect(),
        }
    }

    #[test]
    fn is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = file_of(&folder.path().join("nodes"), Family::V4);
        assert_eq!(path.file_name().unwrap(), "nodes.v4.json");
        assert_eq!(load(&path).unwrap(), SavedNodes::default());
        save(&path, &saved(3)).unwrap();
        save(&path, &saved(200)).unwrap();
        assert_eq!(load(&path).unwrap(), saved(200));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn broken_files_are_errors_without_addresses() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nodes");
        save(&path, &saved(20)).unwrap();
        let whole = fs::read(&path).unwrap();
        for end in 0..whole.len() {
            fs::write(&path, &whole[..end]).unwrap();
            let error = load(&path).unwrap_err().to_string();
            assert!(!error.contains("20.0.0"), "{error}");
        }
        for text in [
            r#"{"version":2,"id":null,"nodes":[]}"#,
            r#"{"version":1,"nodes":[{"id":"x","address":"20.0.0.1"}]}"#,
        ] {
            fs::write(&path, text).unwrap();
            let error = load(&path).unwrap_err().to_string();
            assert!(!error.contains("20.0.0"), "{error}");
        }
        let huge = usize::try_from(FILE_MAX).unwrap() + 1;
        fs::write(&path, vec![b' '; huge]).unwrap();
        assert!(load(&path).is_err());
        let odd = r#"{"version":1,"id":"zz","nodes":[{"id":"x","address":"20.0.0.1:1"}]}"#;
        fs::write(&path, odd).unwrap();
        assert_eq!(load(&path).unwrap(), SavedNodes::default());
    }
}
