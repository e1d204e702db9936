//! The schema of each reply against the JSON of its sample: `--field` refuses a name by the schema before it is asked.

use enroll_protocol::OperationRow;
use enroll_protocol::shape::Shape;
use serde_json::Value;

/// Fails if the sample has another form than the operation's replies.
pub(super) fn expect_shape(row: &OperationRow, reply: &str) {
    let reply = serde_json::from_str(reply).expect("JSON");
    expect(row.name, &row.reply_shape(), &reply);
}

fn expect(place: &str, shape: &Shape, json: &Value) {
    match (shape, json) {
        (Shape::Any, _) | (_, Value::Null) => {}
        (Shape::Value, value) => assert!(!value.is_object() && !value.is_array(), "{place}: {value}"),
        (Shape::List(item), Value::Array(items)) => items.iter().for_each(|json| expect(place, item, json)),
        (Shape::Record(members), Value::Object(object)) => {
            let names: Vec<&String> = members.iter().map(|(name, _)| name).collect();
            assert_eq!(names, object.keys().collect::<Vec<_>>(), "{place}");
            for ((name, shape), json) in members.iter().zip(object.values()) {
                expect(&format!("{place}.{name}"), shape, json);
            }
        }
        (shape, json) => panic!("{place}: {json} is no {shape:?}"),
    }
}
