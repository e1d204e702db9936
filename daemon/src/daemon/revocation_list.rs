//! The signed certificate revocation list: a cache of the latest one, which is signed once per number.
//!
//! A list's bytes follow from the state, so only its signature is kept over a restart, in a file of its own. If that is
//! lost, torn, or of another list or authority, the list is signed again.

use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use enroll_core::fault::Fault;
use enroll_core::identity::Authority;
use enroll_core::identity::crl::{List, Signature};
use enroll_core::rules::authority;
use enroll_core::state::ReadTxn;
use enroll_protocol::{Code, Refusal};
use nix::fcntl::OFlag;

use crate::file_error::FileError;
use crate::storage::private_dir::Directory;

/// The file of the latest list's signature in the state directory, and its name before it is whole.
pub const SIGNATURE: &str = "enrolld.crl.signature";
const SIGNATURE_NEW: &str = "enrolld.crl.signature.new";

/// Bytes of a signature at most: that of an RSA key of 8192 bits.
const SIGNATURE_BYTES_MAX: u64 = 1024;

/// The cache of the latest list. The first request signs it; other requests wait for that.
#[derive(Default)]
pub struct SignedLists {
    latest: Mutex<Option<Arc<List>>>,
    /// The state directory, for the file of the signature.
    kept: Option<Arc<Directory>>,
}

impl SignedLists {
    /// An empty cache; this directory may have the signature of an earlier process.
    pub fn kept_in(state_dir: Arc<Directory>) -> Self {
        Self { kept: Some(state_dir), ..Self::default() }
    }

    /// The list of this state, or a later one if it is cached already. Fails if its signature can not be stored: then
    /// no caller gets it.
    pub fn of(&self, txn: &dyn ReadTxn, authority: &Authority) -> Result<Arc<List>, Fault> {
        let number = authority::list_number(txn)?;
        // After a panic under the lock the cache still has the list before.
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(list) = latest.as_ref().filter(|list| list.number >= number && list.is_by(authority)) {
            return Ok(Arc::clone(list));
        }
        let unsigned = authority::unsigned_list(txn, authority)?;
        let signature = self.signature(authority, &unsigned)?;
        let list = Arc::new(List::signed(number, authority, &unsigned, &signature)?);
        Ok(Arc::clone(latest.insert(list)))
    }

    /// Drops the cached list, because another registry begins.
    pub fn forget(&self) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The stored signature, if it is valid; else a new one, which is stored before it is used.
    fn signature(&self, authority: &Authority, unsigned: &[u8]) -> Result<Signature, Fault> {
        let Some(directory) = &self.kept else { return Ok(Signature::make(authority, unsigned)?) };
        if let Some(before) = read(directory).and_then(|bytes| Signature::read(&bytes, authority, unsigned)) {
            return Ok(before);
        }
        let signature = Signature::make(authority, unsigned)?;
        keep(directory, signature.as_bytes()).map_err(|err| {
            let why = format!("the signature of a list of revoked certificates can not be kept: {err}");
            Fault::Refused(Refusal::new(Code::STORAGE, why))
        })?;
        Ok(signature)
    }
}

fn read(directory: &Directory) -> Option<Vec<u8>> {
    let file = directory.open_private(SIGNATURE, OFlag::O_RDONLY).ok()?;
    let mut bytes = Vec::new();
    file.take(SIGNATURE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn keep(directory: &Directory, signature: &[u8]) -> Result<(), FileError> {
    let failed = |source| FileError::Io { path: directory.path_of(SIGNATURE_NEW), source };
    let mut file = directory.create_private(SIGNATURE_NEW)?;
    file.write_all(signature).and_then(|()| file.sync_all()).map_err(failed)?;
    directory.publish(SIGNATURE_NEW, SIGNATURE)
}
