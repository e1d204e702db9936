//! Fields of forms with their labels, and the problems of what was typed into them.

use maud::{Markup, html};

use crate::context::Context;
use crate::refusal;
use crate::shown::shown;
use crate::told::Told;

/// A problem with an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The id of the field.
    pub(crate) field: &'static str,
    /// The refusal.
    pub(crate) told: Told,
}

/// A text field of a form.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Field<'a> {
    /// Its name and id; it is unique on the page.
    pub(crate) name: &'a str,
    /// Its label.
    pub(crate) label: &'a str,
    /// A sentence below the label; empty for none.
    pub(crate) hint: &'a str,
    /// The input so far.
    pub(crate) value: &'a str,
    /// True if a password manager should not fill it and a code is typed here.
    pub(crate) is_code: bool,
}

impl Field<'_> {
    /// The field with its label, its hint and its problem.
    pub(crate) fn markup(&self, problems: &[Problem], context: &Context) -> Markup {
        let problem = problems.iter().find(|problem| problem.field == self.name);
        let described = [(!self.hint.is_empty(), "hint"), (problem.is_some(), "problem")];
        let described = described.iter().filter(|(is_there, _)| *is_there);
        let described: Vec<String> = described.map(|(_, part)| format!("{}-{part}", self.name)).collect();
        let described = (!described.is_empty()).then(|| described.join(" "));
        html! {
            div .field {
                label for=(self.name) { (self.label) }
                @if !self.hint.is_empty() { p .hint id={ (self.name) "-hint" } { (self.hint) } }
                @if let Some(problem) = problem {
                    p .problem id={ (self.name) "-problem" } { "Error: " (refusal::sentence(&problem.told, context)) }
                }
                input type="text" id=(self.name) name=(self.name) value=(self.value) dir="auto"
                    aria-describedby=[described] aria-invalid=[problem.map(|_| "true")]
                    autocomplete="off" spellcheck="false" autocapitalize=[self.is_code.then_some("characters")];
            }
        }
    }
}

/// The summary of problems at the top of a page. It has the focus, and each line leads to its field.
pub(crate) fn summary(problems: &[Problem], context: &Context) -> Markup {
    if problems.is_empty() {
        return html! {};
    }
    html! {
        section .outcomes .bad tabindex="-1" autofocus aria-labelledby="problems" {
            h2 id="problems" { "There is a problem" }
            ul {
                @for problem in problems {
                    li {
                        a href={ "#" (problem.field) } { (shown(&problem.told.message)) }
                        (refusal::code(&problem.told, context))
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
    fn a_problem_stands_at_its_field_and_in_the_summary_with_the_input_kept() {
        let context = Context::for_tests();
        let problems = [Problem { field: "reason", told: Told::invalid("a reason is <short>") }];
        let field = Field { name: "reason", label: "Reason", hint: "for people", value: "a\"b", is_code: false };
        let drawn = field.markup(&problems, &context).into_string();
        for part in [
            "value=\"a&quot;b\"",
            "aria-invalid=\"true\"",
            "aria-describedby=\"reason-hint reason-problem\"",
            "a reason is &lt;short&gt;",
        ] {
            assert!(drawn.contains(part), "{part}: {drawn}");
        }
        let drawn = summary(&problems, &context).into_string();
        assert!(drawn.contains("href=\"#reason\"") && drawn.contains("autofocus"), "{drawn}");
        assert!(!field.markup(&[], &context).into_string().contains("aria-invalid"));
    }
}
