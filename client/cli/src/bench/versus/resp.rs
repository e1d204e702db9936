//! As much of the protocol of Redis as a bench needs (RESP2, <https://redis.io/docs/latest/develop/reference/protocol-spec/>):
//! commands as lists of words, and their replies.
//!
//! No library: the little that is here costs less than a connection that reconnects, pools and converts would, and what
//! the client costs is missing to the server on the same machine.

use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

/// Room made before each read.
const READ_BYTES: usize = 16 << 10;

/// A reply that is no error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    Text(String),
    Number(i64),
    Nothing,
    List(Vec<Reply>),
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
}

impl Connection {
    /// Connects to a server's socket.
    pub(super) async fn open(socket: &Path) -> Result<Self, String> {
        let stream = UnixStream::connect(socket).await.map_err(|err| format!("{}: {err}", socket.display()))?;
        Ok(Self { stream, outgoing: Vec::new(), incoming: Vec::new() })
    }

    /// Asks, and waits for the reply.
    pub(super) async fn call(&mut self, words: &[&str]) -> Result<Reply, String> {
        self.put(words);
        self.send().await?;
        self.reply().await
    }

    /// Makes a command ready to be sent.
    pub(super) fn put(&mut self, words: &[&str]) {
        let out = &mut self.outgoing;
        out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
        for word in words {
            out.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
        }
    }

    /// Sends what was made ready.
    pub(super) async fn send(&mut self) -> Result<(), String> {
        self.stream.write_all(&self.outgoing).await.map_err(|err| err.to_string())?;
        self.outgoing.clear();
        Ok(())
    }

    /// Waits for the next reply; an error reply is an error.
    pub(super) async fn reply(&mut self) -> Result<Reply, String> {
        loop {
            if let Some((reply, bytes)) = read(&self.incoming)? {
                self.incoming.drain(..bytes);
                return Ok(reply);
            }
            self.incoming.reserve(READ_BYTES);
            match self.stream.read_buf(&mut self.incoming).await {
                Ok(0) => return Err("the server closed the connection".to_owned()),
                Ok(_) => {}
                Err(err) => return Err(err.to_string()),
            }
        }
    }
}

/// The reply that these bytes begin with, and how many of them it takes; `None` while it is not there whole.
fn read(bytes: &[u8]) -> Result<Option<(Reply, usize)>, String> {
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
    let line = String::from_utf8_lossy(&bytes[..end]);
    let Some(kind) = line.chars().next() else { return Err("a reply without a kind".to_owned()) };
    let (rest, behind) = (&line[kind.len_utf8()..], end + 2);
    let number = || rest.parse::<i64>().map_err(|_| format!("a reply with an odd number: {line}"));
    match kind {
        '+' => Ok(Some((Reply::Text(rest.to_owned()), behind))),
        '-' => Err(rest.to_owned()),
        ':' => Ok(Some((Reply::Number(number()?), behind))),
        '$' | '*' if number()? < 0 => Ok(Some((Reply::Nothing, behind))),
        '$' => read_text(bytes, behind, usize::try_from(number()?).unwrap_or(usize::MAX)),
        '*' => read_list(bytes, behind, number()?),
        _ => Err(format!("a reply of no known kind: {line}")),
    }
}

fn read_text(bytes: &[u8], from: usize, length: usize) -> Result<Option<(Reply, usize)>, String> {
    let Some(until) = from.checked_add(length) else { return Err("a reply without an end".to_owned()) };
    // The line end behind it is awaited too.
    let Some(text) = bytes.get(from..until).filter(|_| bytes.len() >= until + 2) else { return Ok(None) };
    Ok(Some((Reply::Text(String::from_utf8_lossy(text).into_owned()), until + 2)))
}

fn read_list(bytes: &[u8], from: usize, length: i64) -> Result<Option<(Reply, usize)>, String> {
    let (mut items, mut at) = (Vec::new(), from);
    for _ in 0..length {
        let Some((item, taken)) = read(&bytes[at..])? else { return Ok(None) };
        items.push(item);
        at += taken;
    }
    Ok(Some((Reply::List(items), at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Reply {
        Reply::Text(text.to_owned())
    }

    #[test]
    fn a_reply_is_read_when_it_is_whole_and_not_before() {
        for (bytes, expected) in [
            ("+OK\r\n", text("OK")),
            (":-2\r\n", Reply::Number(-2)),
            ("$-1\r\n", Reply::Nothing),
            ("*-1\r\n", Reply::Nothing),
            ("$0\r\n\r\n", text("")),
            ("$4\r\na\r\nb\r\n", text("a\r\nb")),
            ("*0\r\n", Reply::List(Vec::new())),
            (
                "*3\r\n$1\r\na\r\n*2\r\n:1\r\n:2\r\n$-1\r\n",
                Reply::List(vec![text("a"), Reply::List(vec![Reply::Number(1), Reply::Number(2)]), Reply::Nothing]),
            ),
        ] {
            let more = format!("{bytes}+the next one\r\n");
            assert_eq!(read(more.as_bytes()), Ok(Some((expected, bytes.len()))), "{bytes:?}");
            for cut in 0..bytes.len() {
                assert_eq!(read(&bytes.as_bytes()[..cut]), Ok(None), "{:?}", &bytes[..cut]);
            }
        }
    }

    #[test]
    fn an_error_is_none_and_what_is_no_reply_neither() {
        for (bytes, expected) in [
            ("-ERR no such thing\r\n", "ERR no such thing"),
            ("*1\r\n-ERR within\r\n", "ERR within"),
            ("$x\r\n", "a reply with an odd number: $x"),
            ("?\r\n", "a reply of no known kind: ?"),
            ("\r\n", "a reply without a kind"),
        ] {
            assert_eq!(read(bytes.as_bytes()), Err(expected.to_owned()), "{bytes:?}");
        }
    }
}
