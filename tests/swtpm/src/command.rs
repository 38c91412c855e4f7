//! The TPM commands that tests need while the agent holds its own connection, in bytes (TPM 2.0 part 3).
//!
//! libtss2 connects anew for each command, and swtpm serves one connection after the other, so these commands fall
//! between the agent's.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::SwtpmError;

/// swtpm answers within a millisecond; on a loaded test machine it may wait for a processor.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);
/// libtpms never answers with more (TPM2_MAX_RESPONSE_SIZE).
const MAX_RESPONSE: usize = 4096;
/// Tag, size and response code.
const HEADER: usize = 10;

const ST_NO_SESSIONS: u16 = 0x8001;
const ST_SESSIONS: u16 = 0x8002;
const CC_PCR_READ: u32 = 0x0000_017E;
const CC_PCR_EXTEND: u32 = 0x0000_0182;
const RS_PW: u32 = 0x4000_0009;
const ALG_SHA256: u16 = 0x000B;

/// TPM2_PCR_Extend of the SHA-256 bank (part 3, 22.2) with the empty password.
pub(crate) fn pcr_extend(port: u16, index: u8, digest: [u8; 32]) -> Result<(), SwtpmError> {
    let mut body = Vec::with_capacity(64);
    body.extend(u32::from(index).to_be_bytes());
    // authorization area: size, session handle, empty nonce, no attributes, empty password
    body.extend(9_u32.to_be_bytes());
    body.extend(RS_PW.to_be_bytes());
    body.extend([0, 0, 0, 0, 0]);
    // TPML_DIGEST_VALUES of one
    body.extend(1_u32.to_be_bytes());
    body.extend(ALG_SHA256.to_be_bytes());
    body.extend(digest);
    exchange(port, "TPM2_PCR_Extend", &command(ST_SESSIONS, CC_PCR_EXTEND, &body)).map(drop)
}

/// TPM2_PCR_Read of one register of the SHA-256 bank (part 3, 22.4).
pub(crate) fn pcr_read(port: u16, index: u8) -> Result<[u8; 32], SwtpmError> {
    const NAME: &str = "TPM2_PCR_Read";
    let bitmap = 1_u32.checked_shl(u32::from(index)).unwrap_or(0).to_le_bytes();
    let mut body = Vec::with_capacity(16);
    body.extend(1_u32.to_be_bytes());
    body.extend(ALG_SHA256.to_be_bytes());
    body.push(3);
    body.extend(bitmap.iter().take(3));
    let reply = exchange(port, NAME, &command(ST_NO_SESSIONS, CC_PCR_READ, &body))?;
    // updateCounter 4, selection 4 + 2 + 1 + 3, count of digests 4, size 2, digest 32
    let malformed = || SwtpmError::Reply { command: NAME, length: reply.len() };
    let (fixed, digest) = reply.split_at_checked(20).ok_or_else(malformed)?;
    if !fixed.ends_with(&[0, 0, 0, 1, 0, 32]) {
        return Err(malformed());
    }
    digest.try_into().map_err(|_| malformed())
}

/// Any command with the empty password for each handle that needs one; returns its parameters.
pub(crate) fn run(
    port: u16,
    code: u32,
    handles: &[u32],
    passwords: usize,
    parameters: &[u8],
) -> Result<Vec<u8>, SwtpmError> {
    const NAME: &str = "a TPM command";
    let mut body: Vec<u8> = handles.iter().flat_map(|handle| handle.to_be_bytes()).collect();
    if passwords == 0 {
        return exchange(port, NAME, &command(ST_NO_SESSIONS, code, &[&body, parameters].concat()));
    }
    let authorization = [&RS_PW.to_be_bytes()[..], &[0, 0, 0, 0, 0]].concat().repeat(passwords);
    body.extend(u32::try_from(authorization.len()).unwrap_or(u32::MAX).to_be_bytes());
    body.extend(authorization);
    body.extend(parameters);
    let reply = exchange(port, NAME, &command(ST_SESSIONS, code, &body))?;
    // parameterSize 4, parameters, one acknowledgement for each password
    let malformed = || SwtpmError::Reply { command: NAME, length: reply.len() };
    let (size, rest) = reply.split_first_chunk().ok_or_else(malformed)?;
    let size = usize::try_from(u32::from_be_bytes(*size)).unwrap_or(usize::MAX);
    rest.get(..size).map(<[u8]>::to_vec).ok_or_else(malformed)
}

fn command(tag: u16, code: u32, body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX);
    [&tag.to_be_bytes()[..], &size.to_be_bytes(), &code.to_be_bytes(), body].concat()
}

/// One command on a connection of its own; returns what follows the response header.
fn exchange(port: u16, name: &'static str, command: &[u8]) -> Result<Vec<u8>, SwtpmError> {
    let (header, rest) = transmit(port, command).map_err(|source| SwtpmError::Exchange { port, source })?;
    let [.., c0, c1, c2, c3] = header;
    match u32::from_be_bytes([c0, c1, c2, c3]) {
        0 => Ok(rest),
        code => Err(SwtpmError::Refused { command: name, code }),
    }
}

fn transmit(port: u16, command: &[u8]) -> io::Result<([u8; HEADER], Vec<u8>)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, EXCHANGE_TIMEOUT)?;
    stream.set_read_timeout(Some(EXCHANGE_TIMEOUT))?;
    stream.set_write_timeout(Some(EXCHANGE_TIMEOUT))?;
    stream.write_all(command)?;
    let mut header = [0; HEADER];
    stream.read_exact(&mut header)?;
    let [_, _, s0, s1, s2, s3, ..] = header;
    let size = usize::try_from(u32::from_be_bytes([s0, s1, s2, s3])).unwrap_or(usize::MAX);
    if !(HEADER..=MAX_RESPONSE).contains(&size) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("response claims {size} bytes")));
    }
    let mut rest = vec![0; size - HEADER];
    stream.read_exact(&mut rest)?;
    Ok((header, rest))
}
