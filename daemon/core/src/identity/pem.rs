//! PEM (RFC 7468): labelled base64 between two lines. Blocks are written by the library and read as people paste them.
//!
//! Text outside of the blocks is skipped; inside, lines may be of any length and end in any way. A text that lost its
//! line ends on the way, so that blanks or the letters `\n` replace them, is read all the same. The library refuses
//! such a text, so reading is our own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::pem::{LineEnding, encode_string};
use zeroize::Zeroizing;

use super::IdentityError;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Bytes of a label at most; a longer text is no label and may be a secret, so no error repeats it.
const LABEL_BYTES_MAX: usize = 40;

/// One block; its bytes may be a private key.
pub struct Block {
    /// The label between the dashes, such as `CERTIFICATE`.
    pub label: String,
    /// The decoded bytes.
    pub der: Zeroizing<Vec<u8>>,
}

/// All blocks of a text. An error names the label of a block and repeats nothing of its content.
pub fn read(text: &str) -> Result<Vec<Block>, IdentityError> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((_, begun)) = rest.split_once(BEGIN) {
        rest = begun;
        let Some((label, inside)) = begun.split_once(DASHES).filter(|(label, _)| is_label(label)) else { continue };
        let end = format!("{END}{label}{DASHES}");
        let (inside, after) = inside
            .split_once(end.as_str())
            .ok_or_else(|| IdentityError(format!("a PEM block {label} does not end")))?;
        let der = STANDARD.decode(base64_in(inside).as_bytes());
        let der = der.map_err(|_| IdentityError(format!("a PEM block {label} is not base64")))?;
        blocks.push(Block { label: label.to_owned(), der: Zeroizing::new(der) });
        rest = after;
    }
    Ok(blocks)
}

/// The base64 of a block without its line ends: white space, or the letters `\n` and `\r` that a configuration or an
/// environment variable made of them.
fn base64_in(inside: &str) -> Zeroizing<String> {
    let mut plain = Zeroizing::new(String::with_capacity(inside.len()));
    let mut characters = inside.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\\' if matches!(characters.peek(), Some('n' | 'r')) => drop(characters.next()),
            c if c.is_whitespace() => {}
            c => plain.push(c),
        }
    }
    plain
}

/// True for a possible label: a few words in upper case.
fn is_label(label: &str) -> bool {
    let fits = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ';
    label.len() <= LABEL_BYTES_MAX && !label.is_empty() && label.bytes().all(fits)
}

/// Writes one block, in lines of 64 characters.
pub fn write(label: &str, der: &[u8]) -> String {
    encode_string(label, LineEnding::LF, der).expect("labels are words in upper case, and blocks fit in memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_so_is_what_people_paste() {
        let der: Vec<u8> = (0..=255).collect();
        let text = write("THING", &der);
        assert!(text.lines().all(|line| line.len() <= 64));
        let pasted = format!("subject=/CN=x\r\n{}\n", text.replace('\n', "\r\n"));
        let without_ends = [text.replace('\n', " "), text.replace('\n', "\\n"), text.replace('\n', "\\r\\n")];
        for text in
            [text.clone(), pasted, format!("\u{feff}{text}{text}"), text.replace('\n', "")].iter().chain(&without_ends)
        {
            let blocks = read(text).expect("blocks");
            assert!(!blocks.is_empty() && blocks.iter().all(|block| block.label == "THING" && *block.der == der));
        }
        for damaged in ["-----BEGIN THING-----\nAAAA", "-----BEGIN THING-----\n!\n-----END THING-----"] {
            assert!(read(damaged).is_err());
        }
        assert!(read("no block at all").expect("none").is_empty());
    }

    #[test]
    fn no_error_repeats_what_a_block_holds() {
        for damaged in [
            "-----BEGIN PRIVATE KEY-----\nS3CRETS3CRET\n",
            "-----BEGIN PRIVATE KEY-----\nS3CRETS3CRET!\n-----END PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY----- S3CRETS3CRET -----END PRIVATE KEY",
            "-----BEGIN PRIVATE KEY\nS3CRETS3CRET\n-----END PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY S3CRETS3CRETS3CRETS3CRETS3CRETS3CRETS3CRET-----",
        ] {
            let message = read(damaged).map_or_else(|err| err.to_string(), |blocks| format!("{} blocks", blocks.len()));
            assert!(!message.contains("S3CRET"), "{message}");
        }
    }
}
