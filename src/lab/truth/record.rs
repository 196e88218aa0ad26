//! Where contacts go when they are over: into memory, or line by line into a
//! file, so that a story of hours takes no more memory than one of minutes.
//!
//! Every thread of the lab's pool records here.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

use super::super::plan::Plan;
use super::{Contact, MetadataContact, Truth, lines};
use crate::model::Timestamp;

/// The contacts so far.
pub(in super::super) enum TruthRecord {
    /// For tests and short stories: about 130 bytes a contact.
    Memory(Vec<Contact>),
    /// Written as they end.
    File {
        to: BufWriter<File>,
        written: u64,
        /// The first error; nothing is written behind it.
        error: Option<io::Error>,
    },
}

impl TruthRecord {
    /// A truth file at `path` that begins with the story.
    pub(in super::super) fn file(path: &Path, plan: &Plan, started: Timestamp) -> io::Result<Self> {
        let mut to = BufWriter::new(File::create(path)?);
        lines::write_story(&mut to, plan, started)?;
        Ok(Self::File {
            to,
            written: 0,
            error: None,
        })
    }

    pub(in super::super) fn add(&mut self, contact: Contact) {
        match self {
            Self::Memory(contacts) => contacts.push(contact),
            Self::File { error: Some(_), .. } => {}
            Self::File { to, written, error } => match lines::write_contact(to, &contact) {
                Ok(()) => *written += 1,
                Err(found) => *error = Some(found),
            },
        }
    }

    /// A conversation about metadata; kept in a file only.
    pub(in super::super) fn add_metadata(&mut self, contact: &MetadataContact) {
        if let Self::File { to, error, .. } = self
            && error.is_none()
        {
            *error = lines::write_metadata(to, contact).err();
        }
    }

    /// Contacts so far.
    pub(in super::super) const fn len(&self) -> u64 {
        match self {
            Self::Memory(contacts) => contacts.len() as u64,
            Self::File { written, .. } => *written,
        }
    }

    /// The contacts kept in memory, in order of their end.
    pub(in super::super) fn contacts(&self) -> Vec<Contact> {
        let Self::Memory(contacts) = self else {
            return Vec::new();
        };
        let mut contacts = contacts.clone();
        contacts.sort_by_key(|contact| (contact.ended, contact.party, contact.visit));
        contacts
    }

    /// Completes a file with the rest of `truth`; the first error there was.
    pub(in super::super) fn finish(&mut self, truth: &Truth) -> io::Result<()> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::File { to, written, error } => match error.take() {
                Some(error) => Err(error),
                None => truth.write_rest(to, *written),
            },
        }
    }
}
