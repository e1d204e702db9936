//! Instants: microseconds since 1970 on the wire, RFC 3339 in UTC in JSON, always with six decimals so that the
//! text sorts like the instant.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Invalid;

/// An instant in UTC, to the microsecond, between the years -9999 and 9999.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use enroll_protocol::Time;
///
/// let time: Time = "2027-07-01T12:00:00+02:00".parse()?;
/// assert_eq!(time.plus_seconds(60).to_string(), "2027-07-01T10:01:00.000000Z");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// The beginning of 1970.
    pub const EPOCH: Self = Self(0);

    /// The instant this many microseconds after the beginning of 1970, if it lies in the range.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::Time;
    ///
    /// assert_eq!(Time::from_micros(1_500_000)?.to_string(), "1970-01-01T00:00:01.500000Z");
    /// assert!(Time::from_micros(i64::MAX).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_micros(micros: i64) -> Result<Self, Invalid> {
        match instant(micros) {
            Some(_) => Ok(Self(micros)),
            None => Err(Invalid::new("a time must lie between the years -9999 and 9999")),
        }
    }

    /// Microseconds since the beginning of 1970.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::Time;
    ///
    /// let time: Time = "1970-01-01T00:00:01.5Z".parse()?;
    /// assert_eq!((time.micros(), time.seconds()), (1_500_000, 1));
    /// # Ok(())
    /// # }
    /// ```
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the beginning of 1970, rounded down.
    ///
    /// The example stands at [`micros`](Self::micros).
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The instant this much later, at most the end of the range.
    ///
    /// The example stands at [`Time`].
    pub fn plus_seconds(self, seconds: u64) -> Self {
        let end = Timestamp::MAX.as_microsecond();
        let micros = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        Self(self.0.saturating_add(micros).min(end))
    }

    /// The instant this much earlier, at least the beginning of 1970.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::Time;
    ///
    /// let time: Time = "2027-07-01T10:00:00Z".parse()?;
    /// assert_eq!(time.minus_seconds(60).to_string(), "2027-07-01T09:59:00.000000Z");
    /// assert_eq!(time.minus_seconds(u64::MAX), Time::EPOCH);
    /// # Ok(())
    /// # }
    /// ```
    pub fn minus_seconds(self, seconds: u64) -> Self {
        let micros = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        Self(self.0.saturating_sub(micros).max(0))
    }
}

/// Up to the last microsecond of the range, which `Timestamp::from_microsecond` takes for one too late.
fn instant(micros: i64) -> Option<Timestamp> {
    let nanos = i32::try_from(micros.rem_euclid(1_000_000) * 1_000).ok()?;
    Timestamp::new(micros.div_euclid(1_000_000), nanos).ok()
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match instant(self.0) {
            Some(instant) => write!(f, "{instant:.6}"),
            None => f.write_str("out of range"),
        }
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Time {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let instant: Timestamp = text
            .parse()
            .map_err(|_| Invalid::new("a time must be in RFC 3339 with its offset, such as 2026-01-31T18:00:00Z, and not be later than 9999-12-30"))?;
        Ok(Self(instant.as_microsecond()))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
        } else {
            Self::from_micros(i64::deserialize(deserializer)?).map_err(de::Error::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_six_decimals_and_utc() {
        let time: Time = "2026-01-31T20:00:00.5+02:00".parse().expect("a time");
        assert_eq!(time.to_string(), "2026-01-31T18:00:00.500000Z");
        assert!("2026-01-31".parse::<Time>().is_err());
        assert!(Time::from_micros(i64::MAX).is_err());
    }

    #[test]
    fn the_end_of_the_range_lies_in_it() {
        let end = Time::EPOCH.plus_seconds(u64::MAX);
        assert_eq!(Time::from_micros(end.micros()), Ok(end));
        assert_eq!(end.to_string().parse(), Ok(end));
        assert!(Time::from_micros(end.micros() + 1).is_err());
        let begin = Time(Timestamp::MIN.as_microsecond());
        assert_eq!(Time::from_micros(begin.micros()), Ok(begin));
        assert!(Time::from_micros(begin.micros() - 1).is_err());
        assert_eq!(Time(-1).to_string(), "1969-12-31T23:59:59.999999Z");
    }
}
