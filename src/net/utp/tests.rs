//! Tests over loopback: real sockets, real threads.

use super::*;
use crate::clock::SystemClock;
use crate::model::Transport;
use std::thread::JoinHandle;

const LONG: Duration = Duration::from_secs(600);

const LIMITS: Limits = Limits {
    callers: 1_000,
    backlog: 1_000,
    total: 3_000,
};

/// A socket with its thread.
struct Host {
    socket: Arc<UtpSocket>,
    thread: Option<JoinHandle<()>>,
}

impl Host {
    fn start(limits: Limits) -> Self {
        Self::at("127.0.0.1:0", limits).unwrap()
    }

    fn at(address: &str, limits: Limits) -> io::Result<Self> {
        let clock = Arc::new(SystemClock::new());
        let socket = UtpSocket::bind(address.parse().unwrap(), limits, clock)?;
        let own = Arc::clone(&socket);
        let thread = Some(std::thread::spawn(move || own.run()));
        Ok(Self { socket, thread })
    }

    fn connect(&self, to: &Self) -> Result<Box<dyn Stream>, NetError> {
        UtpConnector::new(Arc::clone(&self.socket)).connect(to.socket.local_addr(), LONG)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.socket.shut();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn read_exactly(stream: &mut dyn Stream, length: usize) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = [0; 4_096];
    while all.len() < length {
        let read = stream.read(&mut buffer, LONG).unwrap();
        assert_ne!(read, 0);
        all.extend_from_slice(&buffer[..read]);
    }
    all
}

#[test]
fn bytes_travel_both_ways_and_a_close_is_zero() {
    let (near, far) = (Host::start(LIMITS), Host::start(LIMITS));
    let mut out = near.connect(&far).unwrap();
    assert_eq!(out.link().transport, Transport::Utp);
    let sent: Vec<u8> = (0..300_000_u32)
        .map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1])
        .collect();
    let whole = sent.clone();
    let writer = std::thread::spawn(move || {
        out.write_all(&whole, LONG).unwrap();
        assert_eq!(read_exactly(&mut *out, 5), b"heard");
        out
    });
    let (mut caller, from) = far.socket.accept().unwrap();
    assert_eq!(from, near.socket.local_addr());
    assert!(read_exactly(&mut caller, sent.len()) == sent);
    let silent = caller.read(&mut [0; 9], Duration::from_millis(1));
    assert_eq!(silent, Err(NetError::timed_out(Operation::Read)));
    caller.write_all(b"heard", LONG).unwrap();
    drop(writer.join().unwrap());
    assert_eq!(caller.read(&mut [0; 9], LONG), Ok(0));
}

#[test]
fn what_lies_at_the_socket_is_read_without_its_thread() {
    let starved = UtpSocket::bind(
        "127.0.0.1:0".parse().unwrap(),
        LIMITS,
        Arc::new(SystemClock::new()),
    )
    .unwrap();
    let far = Host::start(LIMITS);
    // Nobody runs it, so only who waits for a stream takes in anything. The
    // other side may need several of these waits to answer.
    let short = Duration::from_millis(5);
    let end = SystemClock::new().now() + Duration::from_secs(60);
    let goes_on = || SystemClock::new().now() < end;
    let mut near = loop {
        let call = UtpConnector::new(Arc::clone(&starved));
        match call.connect(far.socket.local_addr(), short) {
            Ok(stream) => break stream,
            Err(error) => assert!(error.reason == Reason::TimedOut && goes_on()),
        }
    };
    near.write_all(b"call", LONG).unwrap();
    let (mut caller, _) = far.socket.accept().unwrap();
    assert_eq!(read_exactly(&mut caller, 4), b"call");
    caller.write_all(b"answer", LONG).unwrap();
    let mut heard = [0; 9];
    let length = loop {
        match near.read(&mut heard, Duration::ZERO) {
            Ok(length) => break length,
            Err(error) => assert!(error.reason == Reason::TimedOut && goes_on()),
        }
    };
    assert_eq!(&heard[..length], b"answer");
}

#[test]
fn silence_and_the_wrong_family_have_reasons() {
    let near = Host::start(LIMITS);
    let connector = UtpConnector::new(Arc::clone(&near.socket));
    let mute = UdpSocket::bind("127.0.0.1:0").unwrap();
    let call = |address| connector.connect(address, Duration::from_millis(20)).err();
    assert_eq!(
        call(mute.local_addr().unwrap()),
        Some(NetError::timed_out(Operation::Connect))
    );
    assert_eq!(near.socket.streams(), 0);
    assert_eq!(
        call("[::1]:9".parse().unwrap()).map(|error| error.reason),
        Some(WRONG_FAMILY)
    );
    let full = Host::start(Limits { total: 0, ..LIMITS });
    assert_eq!(
        full.connect(&near).err().map(|error| error.reason),
        Some(NO_ROOM)
    );
}

#[test]
fn the_family_of_the_address_chooses_the_socket() {
    let near4 = Host::start(LIMITS);
    let near6 = match Host::at("[::1]:0", LIMITS) {
        Ok(host) => host,
        Err(error) => return eprintln!("skipped: this machine has no ::1 ({error})"),
    };
    let far = [
        Host::start(LIMITS),
        Host::at("[::1]:0", LIMITS).expect("::1 is there"),
    ];
    let sockets = [&near4, &near6].map(|host| Arc::clone(&host.socket));
    let connector = UtpConnector::over(sockets.to_vec());
    for (near, far) in sockets.iter().zip(&far) {
        let mut out = connector.connect(far.socket.local_addr(), LONG).unwrap();
        out.write_all(b"called", LONG).unwrap();
        let (mut caller, from) = far.socket.accept().unwrap();
        assert_eq!(from, near.local_addr());
        assert_eq!(read_exactly(&mut caller, 6), b"called");
        caller.write_all(b"heard", LONG).unwrap();
        assert_eq!(read_exactly(&mut *out, 5), b"heard");
        assert_eq!(near.counts().callers, 0);
        assert_eq!(far.socket.counts().callers, 1);
    }
}

#[test]
fn who_lets_nobody_in_is_not_reached() {
    let near = Host::start(LIMITS);
    let closed = Host::start(Limits {
        callers: 0,
        ..LIMITS
    });
    let connector = UtpConnector::new(Arc::clone(&near.socket));
    let address = closed.socket.local_addr();
    let error = connector.connect(address, Duration::from_millis(50)).err();
    assert_eq!(error, Some(NetError::timed_out(Operation::Connect)));
}

#[test]
fn shutting_wakes_everyone() {
    let (near, far) = (Host::start(LIMITS), Host::start(LIMITS));
    let mut reading = near.connect(&far).unwrap();
    let mut writing = near.connect(&far).unwrap();
    let mute = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = mute.local_addr().unwrap();
    let connector = UtpConnector::new(Arc::clone(&near.socket));
    let accepting = Arc::clone(&near.socket);
    let waiters = [
        std::thread::spawn(move || assert_eq!(reading.read(&mut [0; 9], LONG), Ok(0))),
        // More than the other side takes in unread.
        std::thread::spawn(move || assert!(writing.write_all(&vec![0; 1 << 20], LONG).is_err())),
        std::thread::spawn(move || assert!(connector.connect(address, LONG).is_err())),
        std::thread::spawn(move || assert!(accepting.accept().is_none())),
    ];
    // The call is there, so its thread waits or is about to.
    while near.socket.streams() < 3 {
        std::thread::yield_now();
    }
    near.socket.shut();
    for waiter in waiters {
        waiter.join().unwrap();
    }
    assert!(near.connect(&far).is_err());
}

#[test]
fn hundreds_of_streams_at_once() {
    const STREAMS: usize = 300;
    let (near, far) = (Host::start(LIMITS), Host::start(LIMITS));
    let callee = Arc::clone(&far.socket);
    let echo = std::thread::spawn(move || {
        let callers: Vec<_> = (0..STREAMS).map(|_| callee.accept().unwrap().0).collect();
        for mut caller in callers {
            let heard = read_exactly(&mut caller, 4);
            caller.write_all(&heard, LONG).unwrap();
        }
    });
    let mut streams: Vec<_> = (0..STREAMS).map(|_| near.connect(&far).unwrap()).collect();
    for (index, stream) in streams.iter_mut().enumerate() {
        let word = u32::try_from(index).unwrap().to_be_bytes();
        stream.write_all(&word, LONG).unwrap();
    }
    for (index, stream) in streams.iter_mut().enumerate() {
        let word = u32::try_from(index).unwrap().to_be_bytes();
        assert_eq!(read_exactly(&mut **stream, 4), word);
    }
    echo.join().unwrap();
}
