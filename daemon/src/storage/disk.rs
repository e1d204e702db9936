//! The disk under a store: bytes at offsets, and free space. In the daemon it is a file; tests inject faults, lies and
//! power losses with a disk of their own.

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use nix::sys::statvfs::fstatvfs;

/// Bytes that a disk writes at once; most write no less.
pub const BLOCK_BYTES: usize = 4096;

/// Used and free space of a disk.
pub trait Space: Debug + Send + Sync + 'static {
    /// Bytes in use.
    fn bytes(&self) -> io::Result<u64>;

    /// Bytes that are free.
    fn free_bytes(&self) -> io::Result<u64>;
}

/// Bytes at offsets. A write is durable once a later sync has returned, and not before.
pub trait Disk: Space {
    /// Fills `bytes`; an error if the disk has fewer.
    fn read(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()>;

    /// Writes bytes.
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Truncates it to this length, or extends it with zeros.
    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// Makes all earlier writes durable.
    fn sync(&self) -> io::Result<()>;
}

impl Disk for File {
    fn read(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(bytes, offset)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        Self::set_len(self, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

impl Space for File {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let disk = fstatvfs(self)?;
        Ok(disk.blocks_available().saturating_mul(disk.fragment_size()))
    }
}
