//! Enumerations written as words: the name of each variant, and parsing it from the command line.

/// Gives each enumeration its words, the same ones that serde writes.
macro_rules! words {
    ($($type:ident: $($variant:ident $word:literal)*;)*) => {$(
        impl $type {
            /// The word of this variant.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::value::Invalid;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    _ => {
                        let (given, accepted) = ($crate::value::plain_name(text), [$($word),*].join(", "));
                        Err($crate::value::Invalid(format!("\"{given}\" is none of {accepted}")))
                    }
                }
            }
        }
    )*};
}

pub(crate) use words;
