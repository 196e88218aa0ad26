//! Where a peer came from and how it was reached.

/// How a peer was found first: the three words of 2015.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// A tracker's answer named it.
    Tracker,
    /// The DHT named it.
    Dht,
    /// It called us.
    Incoming,
}

impl Source {
    /// The word in the `source` columns.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tracker => "tracker",
            Self::Dht => "dht",
            Self::Incoming => "incoming",
        }
    }
}

/// Who named a peer first, where none of the words of [`Source`] tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// Another peer (BEP 11). The source is how that one was found.
    Pex,
    /// A neighbour's announce by multicast (BEP 14).
    Lsd,
}

impl Origin {
    /// The word in the `origin` columns.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pex => "pex",
            Self::Lsd => "lsd",
        }
    }
}

/// Who named a tracker that no torrent file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrackerOrigin {
    /// A peer (BEP 28).
    Exchange,
    /// The name servers of our own network (BEP 22).
    Local,
}

impl TrackerOrigin {
    /// The word in table `found_tracker`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exchange => "exchange",
            Self::Local => "local",
        }
    }
}

/// Who opened the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// We called the peer.
    Outgoing,
    /// The peer called us.
    Incoming,
}

impl Direction {
    /// The word in the `visit` table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Outgoing => "outgoing",
            Self::Incoming => "incoming",
        }
    }
}

/// What carried a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A TCP stream.
    Tcp,
    /// A stream over UDP (BEP 29).
    Utp,
}

impl Transport {
    /// The word in the `visit` table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Utp => "utp",
        }
    }
}

/// How a visit was encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encryption {
    /// Not at all: the handshake of BEP 3 in the clear.
    Plain,
    /// By RC4 behind the handshake of MSE.
    Rc4,
    /// Not at all behind the handshake of MSE, by agreement.
    MsePlain,
}

impl Encryption {
    /// The word in the `visit` table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Rc4 => "rc4",
            Self::MsePlain => "mse-plain",
        }
    }
}

/// What a visit went over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Link {
    /// What carried it.
    pub transport: Transport,
    /// How it was encrypted.
    pub encryption: Encryption,
}

impl Link {
    /// The same with another encryption.
    #[must_use]
    pub const fn with_encryption(self, encryption: Encryption) -> Self {
        Self { encryption, ..self }
    }

    /// The link of these words of the `visit` table.
    pub fn named(transport: &str, encryption: &str) -> Option<Self> {
        let mut transports = [Transport::Tcp, Transport::Utp].into_iter();
        let encryptions = [Encryption::Plain, Encryption::Rc4, Encryption::MsePlain];
        Some(Self {
            transport: transports.find(|it| it.as_str() == transport)?,
            encryption: encryptions
                .into_iter()
                .find(|it| it.as_str() == encryption)?,
        })
    }

    /// TCP without encryption, as in 2015.
    pub const PLAIN_TCP: Self = Self {
        transport: Transport::Tcp,
        encryption: Encryption::Plain,
    };
}
