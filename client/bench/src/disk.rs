//! The space that a directory takes on its disk: allocated blocks, so that a sparse file counts what it has.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Bytes of one block of `st_blocks`, on every file system.
const BLOCK_BYTES: u64 = 512;

/// Bytes of all files below a directory. A file that is removed meanwhile counts nothing. Fails where it may not look.
pub(crate) fn bytes_below(directory: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        // Symbolic links are not followed.
        let metadata = match entry.metadata() {
            Err(err) if err.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        bytes += match metadata.is_dir() {
            true => bytes_below(&entry.path())?,
            false => metadata.blocks() * BLOCK_BYTES,
        };
    }
    Ok(bytes)
}

/// Bytes of a disk as a number that may be divided; `None` for more than 4 TiB.
pub(crate) fn exact(bytes: u64) -> Option<f64> {
    u32::try_from(bytes / 1024).ok().map(|kib| f64::from(kib) * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_count_and_not_lengths() {
        let directory = tempfile::tempdir().expect("a directory");
        let below = directory.path().join("below");
        std::fs::create_dir(&below).expect("a directory");
        let sparse = std::fs::File::create(directory.path().join("sparse")).expect("a file");
        sparse.set_len(1 << 30).expect("a length");
        std::fs::write(below.join("full"), vec![7; 1 << 20]).expect("a file");
        // File systems round up, and may allocate late.
        let bytes = bytes_below(directory.path()).expect("bytes");
        assert!(bytes < 1 << 24, "{bytes}");
        assert!(bytes_below(&below.join("missing")).is_err());
    }
}
