//! The JSON object that is kept with a record, drawn as names with their values.

use crate::shown::shown;
use enroll_protocol::Json;
use maud::{Markup, html};
use serde_json::{Map, Value};

/// Each member on a line. Values that are no text are shown as JSON.
pub(crate) fn markup(extra: &Json) -> Markup {
    let members: Map<String, Value> = serde_json::from_str(extra.as_str()).unwrap_or_default();
    html! {
        @if members.is_empty() { span .faint { "nothing" } } @else {
            ul .extra {
                @for (name, value) in &members {
                    li {
                        (shown(name)) ": "
                        @match value {
                            Value::String(text) => (shown(text)),
                            other => code { (shown(other)) },
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_escaped() {
        let extra = Json::new(r#"{"<a>":"<script>","n":1.50,"o":{"x":[1]}}"#).expect("an object");
        let drawn = markup(&extra).into_string();
        for part in ["&lt;a&gt;", "&lt;script&gt;", "{&quot;x&quot;:[1]}"] {
            assert!(drawn.contains(part), "{part}: {drawn}");
        }
        assert!(markup(&Json::default()).into_string().contains("nothing"));
    }
}
