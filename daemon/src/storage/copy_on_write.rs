//! A copy-on-write disk: written blocks stay in memory, over those of a file that does not change.
//!
//! An offline command opens a database through it, so redb may repair after a crash and the file stays as it was found.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::{Mutex, PoisonError};

use super::disk::{BLOCK_BYTES, Disk, Space};

type Block = [u8; BLOCK_BYTES];

/// A file and what was written over it.
#[derive(Debug)]
pub struct CopyOnWrite {
    file: File,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    blocks: BTreeMap<u64, Box<Block>>,
    bytes: u64,
    /// Bytes of the file that are still visible: a truncation hides the rest, even if the disk is extended again.
    file_bytes: u64,
}

impl CopyOnWrite {
    /// A disk over this file without written blocks.
    pub fn over(file: File) -> io::Result<Self> {
        let bytes = file.metadata()?.len();
        let written = Written { blocks: BTreeMap::new(), bytes, file_bytes: bytes };
        Ok(Self { file, written: Mutex::new(written) })
    }

    /// The visible bytes of the file, and zeros after them.
    fn read_file(&self, offset: u64, out: &mut [u8], file_bytes: u64) -> io::Result<()> {
        let there = usize::try_from(file_bytes.saturating_sub(offset)).unwrap_or(usize::MAX).min(out.len());
        let (shown, after) = out.split_at_mut(there);
        after.fill(0);
        self.file.read_exact_at(shown, offset)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Written) -> T) -> T {
        act(&mut self.written.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Space for CopyOnWrite {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.with(|written| written.bytes))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.file.free_bytes()
    }
}

impl Disk for CopyOnWrite {
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|written| {
            if offset + out.len() as u64 > written.bytes {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            for (number, within, part) in blocks(offset, out.len()) {
                let out = &mut out[part];
                match written.blocks.get(&number) {
                    Some(block) => out.copy_from_slice(&block[within..within + out.len()]),
                    None => self.read_file(number * BLOCK_BYTES as u64 + within as u64, out, written.file_bytes)?,
                }
            }
            Ok(())
        })
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.with(|written| {
            for (number, within, part) in blocks(offset, bytes.len()) {
                if !written.blocks.contains_key(&number) {
                    let mut block = Box::new([0; BLOCK_BYTES]);
                    self.read_file(number * BLOCK_BYTES as u64, &mut *block, written.file_bytes)?;
                    written.blocks.insert(number, block);
                }
                if let Some(block) = written.blocks.get_mut(&number) {
                    block[within..within + part.len()].copy_from_slice(&bytes[part]);
                }
            }
            written.bytes = written.bytes.max(offset + bytes.len() as u64);
            Ok(())
        })
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.with(|written| {
            let whole = bytes / BLOCK_BYTES as u64;
            let within = block_offset(bytes);
            written.blocks.split_off(&(whole + u64::from(within > 0)));
            if let Some(last) = written.blocks.get_mut(&whole) {
                last[within..].fill(0);
            }
            written.bytes = bytes;
            written.file_bytes = written.file_bytes.min(bytes);
        });
        Ok(())
    }

    /// Nothing to do: written blocks are never on a disk.
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

/// The blocks of a byte range: the number of each, the offset in it, and the part of the range that it holds.
fn blocks(offset: u64, bytes: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let (at, start) = (offset + done as u64, done);
        let within = block_offset(at);
        done = bytes.min(start + BLOCK_BYTES - within);
        (start < bytes).then_some((at / BLOCK_BYTES as u64, within, start..done))
    })
}

fn block_offset(offset: u64) -> usize {
    usize::try_from(offset % BLOCK_BYTES as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _, Write as _};

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Write(u64, Vec<u8>),
        Resize(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let write = (0..20_000u64, prop::collection::vec(any::<u8>(), 1..9000));
        let step = prop_oneof![
            3 => write.prop_map(|(offset, bytes)| Step::Write(offset, bytes)),
            1 => (0..30_000u64).prop_map(Step::Resize),
        ];
        prop::collection::vec(step, 1..12)
    }

    proptest! {
        #[test]
        fn it_reads_like_the_file_that_it_leaves_alone(begun in prop::collection::vec(1..u8::MAX, 0..15_000), steps in steps()) {
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(&begun).expect("written");
            let disk = CopyOnWrite::over(file.try_clone().expect("a file")).expect("a disk");
            let mut expected = begun.clone();
            for step in steps {
                match step {
                    Step::Write(offset, bytes) => {
                        let at = usize::try_from(offset).expect("small");
                        expected.resize(expected.len().max(at + bytes.len()), 0);
                        expected[at..at + bytes.len()].copy_from_slice(&bytes);
                        disk.write(offset, &bytes).expect("written");
                    }
                    Step::Resize(bytes) => {
                        expected.resize(usize::try_from(bytes).expect("small"), 0);
                        disk.set_len(bytes).expect("cut");
                    }
                }
                let mut read = vec![0; expected.len()];
                disk.read(0, &mut read).expect("read");
                prop_assert!(read == expected);
                prop_assert_eq!(disk.bytes().expect("a length"), expected.len() as u64);
            }
            disk.read(expected.len() as u64, &mut [0]).expect_err("nothing is there");
            let mut left = Vec::new();
            file.rewind().expect("rewound");
            file.read_to_end(&mut left).expect("read");
            prop_assert!(left == begun);
        }
    }
}
