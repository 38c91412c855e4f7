//! A link between a host and a controller that counts what comes down, and can be cut.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::thread;

use anyhow::Context as _;

/// Bytes forwarded at once.
const BUFFER_BYTES: usize = 16 * 1024;

/// A forwarder on loopback. It forwards until the process ends.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    down: AtomicU64,
    cuts: AtomicU64,
    /// Bytes until the next cut.
    until_cut: AtomicI64,
    /// Bytes between cuts.
    interval: AtomicU64,
    /// Cuts that are still to come.
    cuts_left: AtomicU64,
}

impl Link {
    /// Forwards to a listener, such as `https://127.0.0.1:1234`.
    pub fn to(endpoint: &str) -> anyhow::Result<Self> {
        let target: SocketAddr = endpoint.trim_start_matches("https://").parse().context("an address and port")?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let sharing = Arc::clone(&shared);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                // Not there: the controller is down, and so is the link to it.
                let Ok(far) = TcpStream::connect(target) else { continue };
                if let Err(error) = forward(&near, &far, &sharing) {
                    eprintln!("link: {error}");
                }
            }
        });
        Ok(Self { address, shared })
    }

    /// Where to connect instead.
    pub fn endpoint(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Cuts every connection each time so many bytes have come down, so many times.
    pub fn cut_every(&self, bytes: u64, times: u64) {
        self.shared.interval.store(bytes, Ordering::SeqCst);
        self.shared.until_cut.store(i64::try_from(bytes).unwrap_or(i64::MAX), Ordering::SeqCst);
        self.shared.cuts_left.store(times, Ordering::SeqCst);
    }

    /// Bytes that came down so far.
    pub fn down(&self) -> u64 {
        self.shared.down.load(Ordering::SeqCst)
    }

    /// Cuts so far.
    pub fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::SeqCst)
    }
}

fn forward(near: &TcpStream, far: &TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    let (mut up_from, mut up_to) = (near.try_clone()?, far.try_clone()?);
    thread::spawn(move || {
        // However it ends, the other direction ends with it.
        let _ended = io::copy(&mut up_from, &mut up_to);
        let _gone = up_to.shutdown(Shutdown::Both);
    });
    let (mut down_from, mut down_to, shared) = (far.try_clone()?, near.try_clone()?, Arc::clone(shared));
    thread::spawn(move || {
        let mut buffer = vec![0; BUFFER_BYTES];
        while let Ok(read) = down_from.read(&mut buffer) {
            let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else { break };
            if down_to.write_all(part).is_err() {
                break;
            }
            shared.down.fetch_add(read as u64, Ordering::SeqCst);
            if shared.is_cut_by(read) {
                break;
            }
        }
        let _gone = (down_to.shutdown(Shutdown::Both), down_from.shutdown(Shutdown::Both));
    });
    Ok(())
}

impl Shared {
    fn is_cut_by(&self, bytes: usize) -> bool {
        if self.cuts_left.load(Ordering::SeqCst) == 0 {
            return false;
        }
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        if self.until_cut.fetch_sub(bytes, Ordering::SeqCst) > bytes {
            return false;
        }
        let interval = i64::try_from(self.interval.load(Ordering::SeqCst)).unwrap_or(i64::MAX);
        self.until_cut.store(interval, Ordering::SeqCst);
        self.cuts_left.fetch_sub(1, Ordering::SeqCst);
        self.cuts.fetch_add(1, Ordering::SeqCst);
        true
    }
}
