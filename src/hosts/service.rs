//! The answer to a question for services (SRV records, RFC 2782). Pure.

use super::message::{self, Head, Name, Reader};

/// Where a service is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The lower, the better.
    pub priority: u16,
    /// TCP port, never 0.
    pub port: u16,
    /// Host, never the root.
    pub target: Name,
}

/// Services of one answer that are taken.
const SERVICES: usize = 8;

/// The query `id` for the services of `name`; `None` when the name is too long
/// to be asked for.
pub fn query(id: u16, name: &Name) -> Option<Vec<u8>> {
    let length: usize = name.iter().map(|label| label.len() + 1).sum();
    let fits = length <= message::NAME_MAX && name.iter().all(|label| label.len() <= 63);
    fits.then(|| message::query_of(id, name, message::SERVICE))
}

/// Reads the answer to the query `id` for `asked`, best services first; `None`
/// when it is not one, so that the real one may still come. A server that fails
/// or talks nonsense knows of none.
pub fn reply(bytes: &[u8], id: u16, asked: &Name) -> Option<Vec<Service>> {
    let mut reader = Reader::of(bytes);
    let Head { code, answers } = reader.head(id, asked, message::SERVICE)?;
    let mut services = Vec::new();
    if code == 0 {
        // What comes before the nonsense counts.
        let _ = read(&mut reader, answers, asked, &mut services);
    }
    services.sort_by_key(|service| service.priority);
    Some(services)
}

fn read(
    reader: &mut Reader<'_>,
    count: u16,
    asked: &Name,
    services: &mut Vec<Service>,
) -> Option<()> {
    for _ in 0..count.min(message::RECORDS) {
        let (owner, kind, end) = reader.record()?;
        if kind == message::SERVICE && owner == *asked && services.len() < SERVICES {
            let (priority, _weight) = (reader.number()?, reader.number()?);
            let (port, target) = (reader.number()?, reader.name()?);
            if port != 0 && !target.is_empty() {
                services.push(Service {
                    priority,
                    port,
                    target,
                });
            }
        }
        reader.skip_to(end);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(name: &str) -> Name {
        let labels = name.split('.').filter(|label| !label.is_empty());
        labels.map(|label| label.as_bytes().to_vec()).collect()
    }

    fn asked() -> Name {
        labels("_bittorrent-tracker._tcp.example.net")
    }

    /// An answer with these services: priority, port and target.
    fn answer(flags: u16, services: &[(u16, u16, &str)]) -> Vec<u8> {
        let mut bytes = query(7, &asked()).unwrap();
        bytes[2..4].copy_from_slice(&flags.to_be_bytes());
        bytes[7] = u8::try_from(services.len()).unwrap();
        for (priority, port, target) in services {
            bytes.extend([0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60]);
            let mut data = priority.to_be_bytes().to_vec();
            data.extend([0, 5]);
            data.extend(port.to_be_bytes());
            for label in labels(target) {
                data.push(u8::try_from(label.len()).unwrap());
                data.extend(label);
            }
            data.push(0);
            bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            bytes.extend(data);
        }
        bytes
    }

    #[test]
    fn services_best_first() {
        let bytes = answer(
            0x8180,
            &[
                (20, 80, "b.net"),
                (5, 6969, "T.example.net"),
                (1, 0, "no.port"),
                (1, 9, ""),
            ],
        );
        let services = reply(&bytes, 7, &asked()).unwrap();
        let told: Vec<_> = services.iter().map(|it| (it.port, &it.target)).collect();
        let (first, second) = (labels("t.example.net"), labels("b.net"));
        assert_eq!(told, [(6969, &first), (80, &second)]);
    }

    #[test]
    fn none_nobody_and_somebody_else() {
        assert_eq!(reply(&answer(0x8183, &[]), 7, &asked()), Some(vec![]));
        assert_eq!(
            reply(&answer(0x8182, &[(1, 1, "a")]), 7, &asked()),
            Some(vec![])
        );
        assert_eq!(reply(&answer(0x8180, &[]), 8, &asked()), None);
        assert_eq!(reply(&answer(0x0100, &[]), 7, &asked()), None);
        assert_eq!(reply(&answer(0x8180, &[]), 7, &labels("other.net")), None);
        assert_eq!(query(1, &vec![vec![b'a'; 60]; 5]), None);
        assert_eq!(query(1, &vec![vec![b'a'; 64]]), None);
    }

    #[test]
    fn many_services_and_a_cut_answer() {
        let many: Vec<_> = (0..40).map(|n| (n, 80, "a.net")).collect();
        let bytes = answer(0x8180, &many);
        assert_eq!(reply(&bytes, 7, &asked()).unwrap().len(), SERVICES);
        for length in 0..bytes.len() {
            let _ = reply(&bytes[..length], 7, &asked());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(tail in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = reply(&tail, 7, &asked());
            let mut bytes = answer(0x8180, &[]);
            bytes[6..8].copy_from_slice(&[0xff, 0xff]);
            bytes.extend(tail);
            let _ = reply(&bytes, 7, &asked());
        }
    }
}
