//! What a database lies on: bytes at offsets, on a disk with so much space. For real it is a file; a test may put a disk
//! of its own under the same store, which fails, lies or loses its power when told to.

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use nix::sys::statvfs::fstatvfs;

/// What disks write at once, and most of them no less than that.
pub const BLOCK_BYTES: usize = 4096;

/// How much space is taken, and how much there is.
pub trait Space: Debug + Send + Sync + 'static {
    /// Bytes that are taken.
    fn bytes(&self) -> io::Result<u64>;

    /// Bytes that the disk has left.
    fn free_bytes(&self) -> io::Result<u64>;
}

/// Bytes at offsets. A write is durable once a sync behind it has returned, and not before.
pub trait Disk: Space {
    /// Fills `bytes` with what lies there; an error where there is not so much.
    fn read(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()>;

    /// Puts bytes there.
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts it to this length, or adds zeros.
    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// Makes everything before it durable.
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
