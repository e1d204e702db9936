//! Findings as lines for people: the severity, the condition, the sentence, and the command that mends it.

use enroll_client::protocol::finding::{Finding, Severity};

/// Width of the column of severities.
const WIDTH: usize = 9;

/// Three or four lines for each finding.
pub(crate) fn lines(findings: &[Finding]) -> Vec<String> {
    findings.iter().flat_map(of_finding).collect()
}

/// The word for a severity.
pub fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Notice => "notice",
    }
}

fn of_finding(finding: &Finding) -> Vec<String> {
    let subject = if finding.subject.is_empty() { String::new() } else { format!(" ({})", finding.subject) };
    let under = |text: &str| format!("{:WIDTH$}{text}", "");
    vec![
        format!("{:WIDTH$}{}{subject}", severity(finding.severity), finding.title()),
        under(&finding.message),
        under(&format!("mend: {}", finding.mend)),
    ]
}

/// The line that sums the findings up.
pub fn sum(findings: &[Finding]) -> String {
    match findings.iter().filter(|finding| finding.is_wrong()).count() {
        0 => "all is well".to_owned(),
        1 => "1 thing is wrong".to_owned(),
        count => format!("{count} things are wrong"),
    }
}

#[cfg(test)]
mod tests {
    use enroll_client::protocol::finding::Topic;

    use super::*;

    #[test]
    fn a_finding_is_its_condition_its_sentence_and_its_command() {
        let of =
            |topic: Topic, subject: &str| Finding::of(topic, subject, &[("what", "it is so"), ("state_dir", "/s")]);
        let found = [of(Topic::DiskLow, ""), of(Topic::Issuers, "https://a")];
        let expected = [
            "warning  The disk is nearly full",
            "         the disk of /s has less than ? left; below ? writes are refused",
            "         mend: df -h /s",
            "warning  A trusted issuer can not be trusted (https://a)",
            "         it is so",
            "         mend: mend jwt.trusted in enrolld.toml, then: sudo systemctl reload enrolld",
        ];
        assert_eq!(lines(&found), expected);
        assert_eq!(sum(&found), "2 things are wrong");
        assert_eq!(sum(&[of(Topic::Registry, "")]), "all is well");
    }
}
