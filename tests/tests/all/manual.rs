//! The manual pages: every verb and every key is on its page, and man has nothing to say against any.

use std::process::{Command, Stdio};

use enroll_man::{Page, pages};
use enroll_protocol::operations::TABLE;
use enroll_tests::skip::skipped;
use enrolld::config::Config;
use toml::{Table, Value};

fn page(pages: &[Page], file: &str) -> Page {
    pages.iter().find(|page| page.file == file).unwrap_or_else(|| panic!("there is no {file}")).clone()
}

/// Text as it stands in the source of a page.
fn in_roff(text: &str) -> String {
    text.replace('-', "\\-")
}

#[test]
fn every_verb_is_on_the_page_of_its_area() {
    let pages = pages();
    for row in TABLE {
        let page = page(&pages, &format!("enrollctl-{}.1", row.area()));
        let heading = format!("\n.SS {}\n", in_roff(row.verb()));
        assert!(page.text.contains(&heading), "{} is not on {}", row.name, page.file);
    }
}

#[test]
fn every_command_of_the_daemon_is_on_its_page() {
    let page = page(&pages(), "enrolld.8");
    for command in enrolld::command().get_subcommands() {
        let heading = format!("\n.SS {}\n", in_roff(command.get_name()));
        assert!(page.text.contains(&heading), "{}", command.get_name());
    }
}

#[test]
fn every_key_is_on_the_page_of_the_configuration_with_its_default_and_its_unit() {
    let text = page(&pages(), "enrolld.toml.5").text;
    let defaults = Table::try_from(Config::default()).expect("a table");
    let mut keys = Vec::new();
    for (name, value) in &defaults {
        match value {
            Value::Table(section) => keys.extend(section.keys().map(|key| format!("{name}.{key}"))),
            _ => keys.push(name.clone()),
        }
    }
    for key in keys {
        let head = text.lines().find(|line| line.starts_with(&format!("\\fB{key}\\fR = ")));
        let head = head.unwrap_or_else(|| panic!("{key} is not on the page"));
        assert!(head.ends_with("; reload)\\fR") || head.ends_with("; restart)\\fR"), "{head}");
        assert!(!head.contains("(unset;"), "{head}");
    }
    assert!(text.contains("\\fBdatabase.cache_mib\\fR = 64  \\fI(MiB; restart)\\fR\n"), "{text}");
}

#[test]
fn every_page_has_a_name_and_other_pages_to_see_that_are_there() {
    let pages = pages();
    let names: Vec<&str> = pages.iter().map(|page| page.file.as_str()).collect();
    for page in &pages {
        let (name, section) = page.file.rsplit_once('.').expect("a section");
        let title = format!("\n.TH {} {section} ", in_roff(&name.to_uppercase()));
        assert!(page.text.contains(&title), "{}", page.file);
        assert!(page.text.contains(&format!("\n.SH NAME\n{} \\- ", in_roff(name))), "{}", page.file);
        let (_, see) = page.text.split_once("\n.SH \"SEE ALSO\"\n").expect("other pages");
        for other in see.trim_end().split(", ") {
            let plain = other.replace("\\fB", "").replace("\\fR", "").replace("\\-", "-");
            let file = plain.replace('(', ".").replace(')', "");
            assert!(names.contains(&file.as_str()) || file == "systemctl.1", "{}: {other}", page.file);
        }
    }
}

/// The check of manual pages that Debian's linter makes, too.
#[test]
fn man_has_no_warning_about_any_page() {
    let test = "man_has_no_warning_about_any_page";
    let is_there = Command::new("man").arg("--version").stdout(Stdio::null()).status();
    if !is_there.is_ok_and(|status| status.success()) {
        skipped(test, "needs man (man-db)");
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let mut warnings = Vec::new();
    for page in pages() {
        let path = directory.path().join(&page.file);
        std::fs::write(&path, &page.text).expect("written");
        let mut man = Command::new("man");
        man.args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"]).arg(&path);
        man.env("MANROFFSEQ", "").env("LC_ALL", "C.UTF-8").env("MANWIDTH", "80").env("HOME", directory.path());
        let output = man.output().expect("run");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() || !said.is_empty() {
            warnings.push(format!("{}: {}: {said}", page.file, output.status));
        }
    }
    assert!(warnings.is_empty(), "{}", warnings.join("\n"));
}
