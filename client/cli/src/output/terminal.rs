//! The terminal form of a reply: aligned tables, short values and relative times. Scripts must not rely on it.

use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, ColumnConstraint, ContentArrangement, Table};
use enroll_client::protocol::Pk;
use jiff::Timestamp;

use super::names::Names;
use super::view::{View, items, member, record, text, visible};
use super::{columns, time};
use crate::raw_object::RawObject;

const WIDTH_DEFAULT: u16 = 80;

/// A terminal that reports a smaller width does not know its width.
const WIDTH_MIN: u16 = 20;

/// The properties of the terminal, and the current time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    width: u16,
    colors: bool,
    now: Timestamp,
}

impl Terminal {
    /// The terminal of standard output. Colors follow <https://no-color.org>.
    pub(crate) fn of_this_process() -> Self {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_none_or(|name| name == "dumb");
        Self {
            width: Table::new().width().filter(|width| *width >= WIDTH_MIN).unwrap_or(WIDTH_DEFAULT),
            colors: !is_set("NO_COLOR") && !is_dumb,
            now: Timestamp::now(),
        }
    }

    /// Its width in characters.
    pub(crate) fn width(self) -> usize {
        usize::from(self.width)
    }

    /// The same terminal with the time of now, because a reply may be younger than this process.
    pub(crate) fn by_now(self) -> Self {
        Self { now: Timestamp::now(), ..self }
    }

    /// The text of an operation's reply, with pks replaced by these names.
    pub(crate) fn show(&self, operation: &str, view: &View<'_>, names: &Names) -> String {
        let mut shown = match view {
            View::Scalar("null") => self.dim("done"),
            View::Scalar(value) => lines(&text(value)),
            View::Record(members) => self.record(members, names),
            View::Values { values, next: None } if values.is_empty() => self.dim(nothing(operation)),
            View::Values { values, .. } => values.iter().map(|value| visible(&text(value)) + "\n").collect(),
            View::Records { records, .. } => self.table(operation, records, names),
        };
        if let Some(cursor) = view.next() {
            shown += &self.dim(&format!("more: --after {}", visible(cursor)));
        }
        shown
    }

    fn record(&self, members: &RawObject<'_>, names: &Names) -> String {
        let (tables, members): (RawObject<'_>, RawObject<'_>) =
            members.iter().cloned().partition(|(name, _)| columns::is_table(name));
        let fields = flattened(&members);
        let width = fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
        let line = |(name, json): &(String, &str)| format!("{name:width$}  {}\n", self.value(json));
        let lines = fields.iter().map(line);
        let below = tables.iter().map(|(name, list)| match View::of(list.get()) {
            View::Records { records, .. } => format!("\n{}", self.table(name, &records, names)),
            _ => String::new(),
        });
        lines.chain(below).collect()
    }

    fn value(&self, json: &str) -> String {
        match time::instant(&text(json)) {
            Some(at) => format!("{} ({})", time::relative(at, self.now), time::absolute(at)),
            None if json == "null" => "-".to_owned(),
            None => self.short(json),
        }
    }

    fn table(&self, list: &str, records: &[RawObject<'_>], names: &Names) -> String {
        let mut table = Table::new();
        table.load_style(NOTHING).set_width(self.width).set_content_arrangement(ContentArrangement::Dynamic);
        if self.colors {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        let shown = columns::shown(list, records);
        let title = |name: &&str| Cell::new(visible(name).replace('_', " ").to_uppercase());
        table.set_header(shown.iter().map(|name| title(name).add_attribute(Attribute::Bold)));
        for record in records {
            table.add_row(shown.iter().map(|name| {
                let computed = columns::computed(list, name, record, names, self.now);
                computed.map_or_else(|| self.cell(member(record, name), names), |text| visible(&text))
            }));
        }
        for (column, name) in table.column_iter_mut().zip(&shown) {
            column.set_padding((0, 2));
            // A pk is copied by people, so it is not wrapped.
            if *name == "pk" {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        table.trim_fmt() + "\n"
    }

    /// A value in a table; a pk is replaced by its name or its short form.
    fn cell(&self, json: &str, names: &Names) -> String {
        let named = |json: &str| text(json).parse::<Pk>().is_ok().then(|| visible(&names.of(&text(json))));
        match items(json) {
            Some(items) if !items.is_empty() && items.iter().all(|item| named(item.get()).is_some()) => {
                items.iter().filter_map(|item| named(item.get())).collect::<Vec<_>>().join(", ")
            }
            _ => named(json).unwrap_or_else(|| self.short(json)),
        }
    }

    /// A value in a few words: relative times, and objects and lists without their brackets.
    fn short(&self, json: &str) -> String {
        if let Some(at) = time::instant(&text(json)) {
            return time::relative(at, self.now);
        }
        let is_simple = |json: &str| !json.starts_with(['{', '[']);
        if let Some(items) = items(json).filter(|items| items.iter().all(|item| is_simple(item.get()))) {
            return items.iter().map(|item| self.short(item.get())).collect::<Vec<_>>().join(", ");
        }
        match record(json) {
            Some(members) if members.iter().all(|(_, value)| is_simple(value.get())) => {
                let pair = |(name, value): &(String, _)| format!("{}={}", visible(name), self.short(raw(value)));
                members.iter().map(pair).collect::<Vec<_>>().join(" ")
            }
            _ => visible(&text(json)),
        }
    }

    fn dim(&self, line: &str) -> String {
        if self.colors { format!("\u{1b}[2m{line}\u{1b}[0m\n") } else { format!("{line}\n") }
    }
}

fn raw<'a>(value: &&'a serde_json::value::RawValue) -> &'a str {
    value.get()
}

/// The line for an empty list.
fn nothing(operation: &str) -> &'static str {
    match operation {
        "server.check" => "sound: every rule holds",
        "person.list" => "no people",
        "role.list" => "no roles",
        "pool.list" => "no pools",
        "enrollment.list" => "no enrollments",
        "changes.list" => "no changes",
        "event.list" => "no events",
        "registration.list" => "no registrations",
        "supervisor.pending" => "nothing waits for a decision",
        "constant.list" => "no constants",
        _ => "nothing found",
    }
}

/// A text of several lines, such as PEM, with control characters escaped.
fn lines(text: &str) -> String {
    text.lines().map(|line| visible(line) + "\n").collect()
}

/// The fields of a record; those of an object within it bear both names.
fn flattened<'a>(members: &RawObject<'a>) -> Vec<(String, &'a str)> {
    let mut fields = Vec::new();
    for (name, value) in members {
        match record(value.get()) {
            Some(inner) if !inner.is_empty() => {
                fields.extend(inner.iter().map(|(below, value)| (visible(&format!("{name}.{below}")), value.get())));
            }
            _ => fields.push((visible(name), value.get())),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(operation: &str, json: &str) -> String {
        let now = time::instant("2026-01-31T18:00:00.000000Z").expect("an instant");
        Terminal { width: 80, colors: false, now }.show(operation, &View::of(json), &Names::default())
    }

    const PEOPLE: &str = r#"{"items":[
        {"pk":"p1","callsign":"DOGGO01a","extra":{},"certificate":false,"created":"2026-01-31T17:57:00.000000Z",
         "updated":"2026-01-31T17:57:00.000000Z","deleted":null},
        {"pk":"p2","callsign":"B","extra":{"team":"red","n":1},"certificate":false,
         "created":"2026-01-31T16:00:00.000000Z","updated":"2026-01-31T16:00:00.000000Z","deleted":null}],
        "next":"c1"}"#;

    #[test]
    fn a_page_is_a_table_without_empty_columns() {
        let expected = "\
CALLSIGN  EXTRA         CREATED
DOGGO01a                3 minutes ago
B         team=red n=1  2 hours ago
more: --after c1
";
        assert_eq!(shown("person.list", PEOPLE), expected);
    }

    const ENROLLMENTS: &str = r#"{"items":[
        {"pk":"e1","callsign":"DOGGO01a","state":"pending","approvecode":"9RXTLQ4E","pool":"q1","person":null,
         "extra":{"team":"red"},"csr":null,"has_csr":false,"decided_by":null,"decided_on":null,"reason":null,
         "created":"2026-01-31T17:57:00.000000Z","updated":"2026-01-31T17:57:00.000000Z","deleted":null},
        {"pk":"e2","callsign":"B","state":"rejected","approvecode":"7QXTLQ4E","pool":null,"person":null,
         "extra":{},"csr":null,"has_csr":false,"decided_by":{"uid":0},"decided_on":"2026-01-31T17:59:30.000000Z",
         "reason":"no",
         "created":"2026-01-31T16:00:00.000000Z","updated":"2026-01-31T17:59:30.000000Z","deleted":null}],
        "next":null}"#;

    #[test]
    fn enrollments_show_their_waiting_time() {
        let expected = "\
CALLSIGN  STATE     POOL  WAITING    DECIDED ON      REASON
DOGGO01a  pending   q1    3 minutes
B         rejected                   30 seconds ago  no
";
        let shown: String =
            shown("enrollment.list", ENROLLMENTS).lines().map(|line| line.trim_end().to_owned() + "\n").collect();
        assert_eq!(shown, expected);
    }

    const EVENTS: &str = r#"{"items":[
        {"pk":"01010101-0101-0101-0101-010101010101","title":"A night hike that goes a long way round","kind":"hike",
         "start":"2026-02-01T18:00:00.000000Z","max_participants":30,"leisure":false,"published":true,
         "canceled":false,"time_state":"upcoming","places_taken":4,"waiting_count":12},
        {"pk":"02020202-0202-0202-0202-020202020202","title":"Camp","kind":"camp","start":"2026-02-02T18:00:00.000000Z",
         "max_participants":null,"leisure":false,"published":false,"canceled":false,"time_state":"upcoming",
         "places_taken":0,"waiting_count":0}],"next":null}"#;

    #[test]
    fn events_show_their_places_and_a_pk_in_one_piece() {
        let expected = "\
PK                      TITLE          KIND  START      STATE     PLACES
AQEBAQEBAQEBAQEBAQEBAQ  A night hike   hike  in 1 day   upcoming  4 of 30, 12
                        that goes a                               wait
                        long way
                        round
AgICAgICAgICAgICAgICAg  Camp           camp  in 2 days  draft     0
";
        let shown: String = shown("event.list", EVENTS).lines().map(|line| line.trim_end().to_owned() + "\n").collect();
        assert_eq!(shown, expected);
    }

    const REGISTRATIONS: &str = r#"{"items":[
        {"event":"01010101-0101-0101-0101-010101010101","person":"02020202-0202-0202-0202-020202020202",
         "pool":"03030303-0303-0303-0303-030303030303","waiting":false,"waiting_position":null,"canceled":false,
         "approval":"not_required","reason":null,"registered_at":"2026-01-31T17:57:00.000000Z"},
        {"event":"01010101-0101-0101-0101-010101010101","person":"04020202-0202-0202-0202-020202020202",
         "pool":null,"waiting":true,"waiting_position":3,"canceled":false,
         "approval":"not_required","reason":null,"registered_at":"2026-01-31T17:58:00.000000Z"},
        {"event":"01010101-0101-0101-0101-010101010101","person":"04020202-0202-0202-0202-020202020202",
         "pool":null,"waiting":false,"waiting_position":null,"canceled":true,
         "approval":"not_required","reason":null,"registered_at":"2026-01-31T17:59:00.000000Z"}],"next":null}"#;

    #[test]
    fn registrations_show_known_names_and_their_result() {
        let names = [
            ("01010101-0101-0101-0101-010101010101", "Camp"),
            ("02020202-0202-0202-0202-020202020202", "DOGGO01a"),
            ("03030303-0303-0303-0303-030303030303", "members"),
        ];
        let names = names.into_iter().map(|(pk, name)| (pk.to_owned(), name.to_owned())).collect();
        let now = time::instant("2026-01-31T18:00:00.000000Z").expect("an instant");
        let terminal = Terminal { width: 80, colors: false, now };
        let expected = "\
EVENT  PERSON                  PLACE            REGISTERED AT
Camp   DOGGO01a                in members       3 minutes ago
Camp   BAICAgICAgICAgICAgICAg  waits, number 3  2 minutes ago
Camp   BAICAgICAgICAgICAgICAg  canceled         1 minute ago
";
        assert_eq!(terminal.show("registration.list", &View::of(REGISTRATIONS), &names), expected);
    }

    #[test]
    fn pools_within_an_event_are_a_table_below_it() {
        let event = r#"{"title":"Camp","pools":[{"pk":"p1","name":"members","capacity":2,"opens":null,
            "roles":["member","guest"],"places_taken":2,"waiting_count":1}],"deleted":null}"#;
        let expected =
            "title    Camp\ndeleted  -\n\nNAME     PLACES           ROLES\nmembers  2 of 2, 1 waits  member, guest\n";
        assert_eq!(shown("event.get", event), expected);
        assert_eq!(shown("event.get", r#"{"title":"Camp","pools":[]}"#), "title  Camp\n");
    }

    #[test]
    fn a_list_without_chosen_columns_shows_all_that_are_not_empty() {
        let list = r#"[{"role":"member","permission":"/a/","x":null,"y":false},{"role":"","permission":"/b/","x":{}}]"#;
        assert_eq!(shown("permission.list", list), "ROLE    PERMISSION\nmember  /a/\n        /b/\n");
    }

    #[test]
    fn replies_on_a_terminal() {
        for (operation, json, expected) in [
            ("token.delete", "null", "done\n"),
            ("role.has", "false", "false\n"),
            ("role.list", "[]", "no roles\n"),
            ("role.list", r#"["member","superuser"]"#, "member\nsuperuser\n"),
            ("person.list", r#"{"items":[],"next":null}"#, "no people\n"),
            ("person.list", r#"{"items":[],"next":"c1"}"#, "more: --after c1\n"),
            ("server.check", "[]", "sound: every rule holds\n"),
            (
                "code.create",
                r#"{"code":"ABCD","expires":"2026-01-31T20:00:00.000000Z"}"#,
                "code     ABCD\nexpires  in 2 hours (2026-01-31 20:00:00 UTC)\n",
            ),
            (
                "server.status",
                r#"{"version":"0.1.0","database":{"bytes":4096,"schema":1},"records":{}}"#,
                "version          0.1.0\ndatabase.bytes   4096\ndatabase.schema  1\nrecords          \n",
            ),
            ("jwt.verify", r#"{"a":null,"b":["x","y"],"c":[{"d":1}]}"#, "a  -\nb  x, y\nc  [{\"d\":1}]\n"),
        ] {
            assert_eq!(shown(operation, json), expected, "{operation}");
        }
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(shown("token.get", r#"{"token":"\u001b[2J\u009b"}"#), "token  \\u{1b}[2J\\u{9b}\n");
        assert_eq!(shown("certificate.get", r#""a\nb\u001b\n""#), "a\nb\\u{1b}\n");
    }

    #[test]
    fn colors_are_dim_and_bold_only_where_wanted() {
        let now = time::instant("2026-01-31T18:00:00.000000Z").expect("an instant");
        let terminal = Terminal { width: 80, colors: true, now };
        let colorful = terminal.show("person.list", &View::of(PEOPLE), &Names::default());
        assert!(colorful.contains("\u{1b}[2mmore") && colorful.contains("\u{1b}[1m"), "{colorful:?}");
    }
}
