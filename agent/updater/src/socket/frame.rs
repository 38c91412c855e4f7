//! One message: its length in four bytes, the most significant first, and so many bytes of JSON.

use std::io;

use flota_release::MAX_METADATA_BYTES;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Longest message, in bytes: the largest metadata file in base64, and room for its surroundings.
pub(super) const MAX_FRAME_BYTES: u64 = MAX_METADATA_BYTES * 4 / 3 + (64 << 10);

/// Reads a message; none at the end of the connection.
pub(super) async fn read<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<T>> {
    let length = match from.read_u32().await {
        Ok(length) => length,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    if u64::from(length) > MAX_FRAME_BYTES {
        return Err(io::Error::other(format!("a message of {length} bytes; {MAX_FRAME_BYTES} at most")));
    }
    let mut bytes = vec![0; length as usize];
    from.read_exact(&mut bytes).await?;
    // What came is not repeated: it may be anything.
    let parsed = serde_json::from_slice(&bytes);
    parsed.map(Some).map_err(|_| io::Error::other("a message that is none: the other end may be of another version"))
}

/// Writes a message.
pub(super) async fn write(to: &mut (impl AsyncWrite + Unpin), message: &impl Serialize) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    let length = u32::try_from(bytes.len()).ok().filter(|length| u64::from(*length) <= MAX_FRAME_BYTES);
    let length = length.ok_or_else(|| io::Error::other("the message is too long"))?;
    to.write_u32(length).await?;
    to.write_all(&bytes).await?;
    to.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_arrive_whole_and_long_or_torn_ones_do_not() {
        let (mut here, mut there) = tokio::io::duplex(64);
        let sent = vec!["a".repeat(500), String::new()];
        let (written, read_back) = tokio::join!(write(&mut here, &sent), read::<Vec<String>>(&mut there));
        written.unwrap();
        assert_eq!(read_back.unwrap(), Some(sent));
        here.write_u32(u32::MAX).await.unwrap();
        assert!(read::<String>(&mut there).await.unwrap_err().to_string().contains("bytes"));
        here.write_all(&[0, 0, 0, 9, b'"']).await.unwrap();
        drop(here);
        assert!(read::<String>(&mut there).await.is_err(), "half a message is no end");
        assert_eq!(read::<String>(&mut there).await.unwrap(), None);
    }
}
