//! PEM: labelled base64 between two lines, as RFC 7468 has it, and as people paste it.
//!
//! What stands outside of the blocks is skipped; inside, lines may be of any length and end in any way.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::{Zeroize as _, Zeroizing};

use super::IdentityError;

const LINE: usize = 64;

/// One block. What it holds may be a private key.
pub struct Block {
    /// Between the dashes, such as `CERTIFICATE`.
    pub label: String,
    /// What was in base64.
    pub der: Zeroizing<Vec<u8>>,
}

/// All blocks of a text.
pub fn read(text: &str) -> Result<Vec<Block>, IdentityError> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let Some(label) = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----")) else {
            continue;
        };
        let end = format!("-----END {label}-----");
        let mut inside = Zeroizing::new(String::new());
        loop {
            match lines.next() {
                Some(line) if line == end => break,
                Some(line) => inside.push_str(line),
                None => return Err(IdentityError(format!("a PEM block {label} does not end"))),
            }
        }
        let der = STANDARD.decode(inside.as_bytes());
        let der = der.map_err(|_| IdentityError(format!("a PEM block {label} is not base64")))?;
        blocks.push(Block { label: label.to_owned(), der: Zeroizing::new(der) });
    }
    Ok(blocks)
}

/// One block as text.
pub fn write(label: &str, der: &[u8]) -> String {
    let mut encoded = STANDARD.encode(der);
    let mut text = String::with_capacity(encoded.len() + encoded.len() / LINE + 2 * label.len() + 40);
    text.push_str(&format!("-----BEGIN {label}-----\n"));
    // Base64 is ASCII, so it can be cut anywhere.
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, behind) = rest.split_at(rest.len().min(LINE));
        text.push_str(line);
        text.push('\n');
        rest = behind;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    encoded.zeroize();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_so_is_what_people_paste() {
        let der: Vec<u8> = (0..=255).collect();
        let text = write("THING", &der);
        assert!(text.lines().all(|line| line.len() <= LINE));
        let pasted = format!("subject=/CN=x\r\n{}\n", text.replace('\n', "\r\n"));
        for text in [text.clone(), pasted, format!("{text}{text}")] {
            let blocks = read(&text).expect("blocks");
            assert!(!blocks.is_empty() && blocks.iter().all(|block| block.label == "THING" && *block.der == der));
        }
        for damaged in ["-----BEGIN THING-----\nAAAA", "-----BEGIN THING-----\n!\n-----END THING-----"] {
            assert!(read(damaged).is_err());
        }
        assert!(read("no block at all").expect("none").is_empty());
    }
}
