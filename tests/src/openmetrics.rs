//! A reader of OpenMetrics that takes nothing but what is in order, and says which line is not.

use std::collections::{BTreeMap, BTreeSet};

/// Labels and their values.
type Labels = BTreeMap<String, String>;

/// A parsed OpenMetrics text.
#[derive(Debug, Default)]
pub struct Exposition {
    /// Type and help of every metric.
    pub metrics: BTreeMap<String, (String, String)>,
    samples: BTreeMap<(String, Labels), f64>,
}

/// The metric whose lines are being read.
#[derive(Debug, Default)]
struct Current {
    name: String,
    kind: String,
    has_samples: bool,
}

impl Exposition {
    /// Reads a text to its end.
    pub fn read(text: &str) -> Self {
        let body = text.strip_suffix("# EOF\n").unwrap_or_else(|| panic!("the end is missing:\n{text}"));
        let (mut read, mut current) = (Self::default(), Current::default());
        for line in body.lines() {
            let is_fine = match line.strip_prefix("# ") {
                Some(described) => read.take_description(&mut current, described),
                None => read.take_sample(&mut current, line),
            };
            assert!(is_fine.is_some(), "this line is not in order: {line}\n{text}");
        }
        read.expect_histograms();
        read
    }

    /// The value of a sample with exactly these labels; `None` where there is none.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.samples.get(&(name.to_owned(), labels)).copied()
    }

    /// The sum of all samples of a name.
    pub fn sum(&self, name: &str) -> f64 {
        self.samples.iter().filter(|((known, _), _)| known == name).map(|(_, value)| value).sum()
    }

    /// Every value that a label has in some sample.
    pub fn label_values(&self) -> BTreeSet<&str> {
        self.samples.keys().flat_map(|(_, labels)| labels.values()).map(String::as_str).collect()
    }

    /// `HELP`, `TYPE` and then perhaps `UNIT`, each once and before the samples.
    fn take_description(&mut self, current: &mut Current, line: &str) -> Option<()> {
        let mut words = line.splitn(3, ' ');
        let (word, name, rest) = (words.next()?, words.next()?, words.next()?);
        match word {
            "HELP" if is_name(name) && !rest.is_empty() => {
                *current = Current { name: name.to_owned(), ..Current::default() };
                let is_new = self.metrics.insert(name.to_owned(), (String::new(), rest.to_owned())).is_none();
                is_new.then_some(())
            }
            "TYPE" if name == current.name && current.kind.is_empty() => {
                current.kind = rest.to_owned();
                self.metrics.get_mut(name)?.0 = rest.to_owned();
                ["counter", "gauge", "histogram"].contains(&rest).then_some(())
            }
            "UNIT" if name == current.name && !current.kind.is_empty() && !current.has_samples => {
                name.ends_with(&format!("_{rest}")).then_some(())
            }
            _ => None,
        }
    }

    fn take_sample(&mut self, current: &mut Current, line: &str) -> Option<()> {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, read_labels(labels.strip_suffix('}')?)?),
            None => (series, Labels::new()),
        };
        let value: f64 = value.parse().ok()?;
        let suffix = name.strip_prefix(current.name.as_str())?;
        let is_of_its_type = match current.kind.as_str() {
            "counter" => suffix == "_total" && value >= 0.0,
            "gauge" => suffix.is_empty(),
            "histogram" => ["_bucket", "_sum", "_count"].contains(&suffix) && value >= 0.0,
            _ => false,
        };
        current.has_samples = true;
        let is_new = self.samples.insert((name.to_owned(), labels), value).is_none();
        (is_of_its_type && is_new).then_some(())
    }

    /// Buckets hold what those before them hold, and the last one holds everything.
    fn expect_histograms(&self) {
        for name in self.metrics.iter().filter(|(_, (kind, _))| kind == "histogram").map(|(name, _)| name) {
            let mut series: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
            for ((_, labels), value) in self.samples.iter().filter(|((known, _), _)| *known == format!("{name}_bucket"))
            {
                let mut labels = labels.clone();
                let bound = labels.remove("le").and_then(|bound| bound.replace("+Inf", "inf").parse().ok());
                series.entry(labels).or_default().push((bound.expect("a bound"), *value));
            }
            for (labels, mut buckets) in series {
                buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
                assert!(buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{name} {labels:?}: {buckets:?}");
                let last = buckets.last().expect("a bucket");
                let count = self.samples.get(&(format!("{name}_count"), labels.clone()));
                assert_eq!((last.0, Some(&last.1)), (f64::INFINITY, count), "{name} {labels:?}");
                assert!(self.samples.contains_key(&(format!("{name}_sum"), labels.clone())), "{name} {labels:?}");
            }
        }
    }
}

/// `name="value",name="value"`; the values of enrolld's labels need no escapes, so none is taken.
fn read_labels(text: &str) -> Option<Labels> {
    let mut labels = Labels::new();
    for label in text.split(',') {
        let (name, value) = label.split_once('=')?;
        let value = value.strip_prefix('"')?.strip_suffix('"')?;
        let is_plain = !value.is_empty() && !value.contains(['"', '\\']);
        let is_new = labels.insert(name.to_owned(), value.to_owned()).is_none();
        (is_name(name) && is_plain && is_new).then_some(())?;
    }
    Some(labels)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}
