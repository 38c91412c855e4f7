//! Other people's web services, as far as they take what the controller sends: real HTTP on loopback, one request after another.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::Context as _;
use hmac::{Hmac, KeyInit, Mac};

/// A request that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebRequest {
    /// As in `POST`.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// By name, in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

/// A service, which answers as it was told and lets its requests be read.
pub struct WebService {
    /// On 127.0.0.1.
    pub port: u16,
    requests: mpsc::Receiver<WebRequest>,
}

impl WebService {
    /// Listens, and answers each request with a status and a body. It ends with this program.
    pub fn start(mut answer: impl FnMut(&WebRequest) -> (u16, String) + Send + 'static) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("listening")?;
        let port = listener.local_addr()?.port();
        let (sender, requests) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Who hangs up early is told nothing; the test misses its request.
                let Ok((mut stream, request)) = read(stream) else { continue };
                let (status, body) = answer(&request);
                let length = body.len();
                let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
                // It is heard of before it is answered: a test that sees the consequence finds the request.
                if sender.send(request).is_err() {
                    return;
                }
                let _hung_up = stream.write_all(format!("{head}{body}").as_bytes());
            }
        });
        Ok(Self { port, requests })
    }

    /// The next request; an error if none comes within `bound`.
    pub fn next(&self, bound: Duration) -> anyhow::Result<WebRequest> {
        self.requests.recv_timeout(bound).context("waiting for a request")
    }

    /// Requests that have arrived and were not read.
    pub fn so_far(&self) -> Vec<WebRequest> {
        self.requests.try_iter().collect()
    }
}

impl WebRequest {
    /// The body as JSON.
    pub fn json(&self) -> anyhow::Result<serde_json::Value> {
        serde_json::from_slice(&self.body).with_context(|| String::from_utf8_lossy(&self.body).into_owned())
    }

    /// Whether it is signed with this key (HMAC-SHA256 of the body in `Flota-Signature-256`).
    pub fn is_signed_with(&self, key: &[u8]) -> bool {
        let Ok(mut mac) = Hmac::<sha2::Sha256>::new_from_slice(key) else { return false };
        mac.update(&self.body);
        self.headers.get("flota-signature-256") == Some(&hex::encode(mac.finalize().into_bytes()))
    }
}

fn read(mut stream: TcpStream) -> anyhow::Result<(TcpStream, WebRequest)> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut piece)?;
        anyhow::ensure!(read > 0, "the other side hung up");
        bytes.extend_from_slice(&piece[..read]);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.lines();
        let mut first = lines.next().unwrap_or_default().split(' ').map(ToOwned::to_owned);
        let headers: BTreeMap<String, String> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let length = headers.get("content-length").map_or(Ok(0), |length| length.parse::<usize>())?;
        let body = &bytes[end + 4..];
        if body.len() >= length {
            let (method, path) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
            return Ok((stream, WebRequest { method, path, headers, body: body.to_vec() }));
        }
    }
}
