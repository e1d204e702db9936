//! OpenSSL as a judge of certificates, keys and lists of the daemon, if it is installed.

use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::skip::skipped;

/// Options of a new key that no password protects.
const NEW_KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

/// OpenSSL in a directory of its own.
#[derive(Debug)]
pub struct OpenSsl {
    directory: TempDir,
}

impl OpenSsl {
    /// `None`, said loudly, where it is not installed.
    pub fn find(test: &str) -> Option<Self> {
        match Command::new("openssl").arg("version").output() {
            Ok(output) if output.status.success() => {
                Some(Self { directory: tempfile::tempdir().expect("a directory") })
            }
            _ => {
                skipped(test, "needs openssl");
                None
            }
        }
    }

    /// A file in its directory.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.directory.path().join(name), text).expect("written");
    }

    /// The path of a file in its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A file of its directory.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory.path().join(name)).expect("a text")
    }

    /// Its standard output; it must succeed.
    pub fn run(&self, args: &[&str]) -> String {
        let output = self.output(args);
        assert!(output.status.success(), "openssl {args:?}\n{}", text(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// All it says; it must succeed.
    pub fn output_of(&self, args: &[&str]) -> String {
        let output = self.output(args);
        assert!(output.status.success(), "openssl {args:?}\n{}", text(&output));
        text(&output)
    }

    /// All it says; it must fail.
    pub fn refused(&self, args: &[&str]) -> String {
        let output = self.output(args);
        assert!(!output.status.success(), "openssl {args:?}\n{}", text(&output));
        text(&output)
    }

    /// Makes the certificate `NAME.pem` of an authority, and its key `NAME.key`.
    pub fn authority(&self, name: &str) {
        let (certificate, key, subject) = (format!("{name}.pem"), format!("{name}.key"), format!("/CN={name}"));
        let made = ["req", "-x509", "-days", "2", "-out", &certificate, "-keyout", &key, "-subj", &subject];
        self.run(&[&made[..], &NEW_KEY].concat());
    }

    /// Makes the certificate `NAME.pem` for both ends of a connection with 127.0.0.1 by this authority, and its key `NAME.key`.
    pub fn certify(&self, name: &str, authority: &str) {
        let (key, request, certificate) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
        let (authority, authority_key) = (format!("{authority}.pem"), format!("{authority}.key"));
        let subject = format!("/CN={name}");
        self.run(&[&["req", "-out", &request, "-keyout", &key, "-subj", &subject][..], &NEW_KEY].concat());
        self.write("extensions", "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n");
        let by = ["-CA", &authority, "-CAkey", &authority_key, "-CAcreateserial", "-days", "2"];
        let signed = ["-extfile", "extensions", "-out", &certificate];
        self.run(&[&["x509", "-req", "-in", &request][..], &by, &signed].concat());
    }

    fn output(&self, args: &[&str]) -> Output {
        Command::new("openssl").args(args).current_dir(self.directory.path()).output().expect("openssl")
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}
