//! The contract of the page's JSON: the `OpenAPI` document that it serves, and a
//! validator for the part of JSON Schema that the document uses.

use serde_json::Value;

use super::page::Answer;

/// The document.
pub(crate) struct Contract(Value);

impl Contract {
    pub(crate) fn new(document: Value) -> Self {
        assert_eq!(document["openapi"], "3.1.0");
        Self(document)
    }

    /// Fails the test when `answer` is none that the document promises.
    pub(crate) fn check(&self, method: &str, path: &str, answer: &Answer) {
        let promised = &self.0["paths"][path][method]["responses"][answer.status.to_string()];
        assert!(
            promised.is_object(),
            "{method} {path}: {} is not promised",
            answer.status
        );
        let (kind, _) = answer.kind.split_once(';').unwrap_or((&answer.kind, ""));
        let schema = &promised["content"][kind]["schema"];
        assert!(
            schema.is_object(),
            "{method} {path}: {kind} is not promised"
        );
        if kind == "application/json" {
            let problems = self.problems(schema, &answer.json(), "$");
            assert!(
                problems.is_empty(),
                "{method} {path}: {problems:#?}\n{}",
                answer.text
            );
        }
    }

    fn problems(&self, schema: &Value, value: &Value, at: &str) -> Vec<String> {
        if let Some(name) = schema["$ref"].as_str() {
            let pointer = name.strip_prefix('#').expect("in the document");
            let target = self
                .0
                .pointer(pointer)
                .unwrap_or_else(|| panic!("no {name}"));
            return self.problems(target, value, at);
        }
        if let Some(choices) = schema["oneOf"].as_array() {
            let fitting = choices
                .iter()
                .filter(|it| self.problems(it, value, at).is_empty())
                .count();
            return if fitting == 1 {
                Vec::new()
            } else {
                vec![format!("{at}: {fitting} of oneOf fit")]
            };
        }
        let kinds: Vec<&str> = match &schema["type"] {
            Value::String(kind) => vec![kind],
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => panic!("{at}: no type in {schema}"),
        };
        if !kinds.iter().any(|kind| is_of(kind, value)) {
            return vec![format!("{at}: {value} is none of {kinds:?}")];
        }
        let mut problems = Vec::new();
        if let (Some(least), Some(number)) = (schema["minimum"].as_f64(), value.as_f64())
            && number < least
        {
            problems.push(format!("{at}: {number} is below {least}"));
        }
        for (place, item) in value.as_array().into_iter().flatten().enumerate() {
            problems.extend(self.problems(&schema["items"], item, &format!("{at}[{place}]")));
        }
        if value.is_object() {
            problems.extend(self.problems_of_fields(schema, value, at));
        }
        problems
    }

    fn problems_of_fields(&self, schema: &Value, value: &Value, at: &str) -> Vec<String> {
        let fields = value.as_object().expect("an object");
        let required = schema["required"].as_array().into_iter().flatten();
        let missing = required
            .filter_map(Value::as_str)
            .filter(|it| !fields.contains_key(*it));
        let mut problems: Vec<String> = missing.map(|it| format!("{at}: no {it}")).collect();
        for (name, field) in fields {
            let at = format!("{at}.{name}");
            let known = &schema["properties"][name];
            let schema = if known.is_object() {
                known
            } else {
                &schema["additionalProperties"]
            };
            if schema.is_object() {
                problems.extend(self.problems(schema, field, &at));
            } else {
                problems.push(format!("{at} is not in the document"));
            }
        }
        problems
    }
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("unknown type {other}"),
    }
}
