//! The generator of the manual pages: `cargo run -p enroll-man -- DIRECTORY` writes every page into that directory.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let mut arguments = env::args_os().skip(1);
    let (Some(directory), None) = (arguments.next().map(PathBuf::from), arguments.next()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "usage: enroll-man DIRECTORY"));
    };
    fs::create_dir_all(&directory)?;
    enroll_man::pages().iter().try_for_each(|page| fs::write(directory.join(&page.file), &page.text))
}
