//! The schema says what the parser does.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::*;
use super::{EXAMPLE, with};

/// A validator of the keywords that our schema uses; any other keyword fails the test.
fn fits(schema: &Value, value: &Value) -> bool {
    let Some(object) = schema.as_object() else { return schema == &json!(true) };
    object.iter().all(|(keyword, rule)| match keyword.as_str() {
        "$schema" | "title" | "description" | "default" | "format" | "x-unit" | "x-allowed" => true,
        "type" => match rule {
            Value::Array(types) => types.iter().any(|t| is_type(t, value)),
            one => is_type(one, value),
        },
        "minimum" => value.as_f64().is_none_or(|n| n >= rule.as_f64().unwrap()),
        "maximum" => value.as_f64().is_none_or(|n| n <= rule.as_f64().unwrap()),
        "exclusiveMinimum" => value.as_f64().is_none_or(|n| n > rule.as_f64().unwrap()),
        "minLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 >= rule.as_u64().unwrap()),
        "maxLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 <= rule.as_u64().unwrap()),
        // Patterns are tried by a real validator outside; here only that they are texts.
        "pattern" => rule.is_string(),
        "enum" => rule.as_array().unwrap().contains(value),
        "const" => rule == value,
        "minItems" => value.as_array().is_none_or(|list| list.len() as u64 >= rule.as_u64().unwrap()),
        "uniqueItems" => value.as_array().is_none_or(|list| (1..list.len()).all(|i| !list[..i].contains(&list[i]))),
        "items" => value.as_array().is_none_or(|list| list.iter().all(|item| fits(rule, item))),
        "anyOf" => rule.as_array().unwrap().iter().any(|schema| fits(schema, value)),
        "oneOf" => rule.as_array().unwrap().iter().filter(|schema| fits(schema, value)).count() == 1,
        "required" => rule.as_array().unwrap().iter().all(|key| value.get(key.as_str().unwrap()).is_some()),
        "properties" => {
            let fit = |(key, schema): (&String, &Value)| value.get(key).is_none_or(|inner| fits(schema, inner));
            rule.as_object().unwrap().iter().all(fit)
        }
        "additionalProperties" => {
            let known = object.get("properties").and_then(Value::as_object);
            let mut members = value.as_object().into_iter().flatten();
            members.all(|(key, inner)| known.is_some_and(|known| known.contains_key(key)) || fits(rule, inner))
        }
        other => panic!("the schema uses {other}, which this test does not know"),
    })
}

fn is_type(name: &Value, value: &Value) -> bool {
    match name.as_str().unwrap() {
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        other => panic!("type {other}"),
    }
}

#[test]
fn the_example_and_the_defaults_fit() {
    let schema = Config::schema();
    assert!(fits(&schema, &serde_json::from_str(EXAMPLE).unwrap()));
    let config = Config { remotes: vec!["a:".into()], ..Config::default() };
    assert!(fits(&schema, &serde_json::to_value(&config).unwrap()));
    assert!(fits(&schema, &config.masked()));
}

#[test]
fn schema_and_parser_refuse_alike() {
    let schema = Config::schema();
    let refused = [
        "\"chunksize\": 70000",
        "\"chunk_size\": 70000.5",
        "\"chunk_size\": 65535",
        "\"chunk_size\": 4294967297",
        "\"retry_delay\": -1",
        "\"remote_weights\": {\"mega1:\": 0}",
        "\"remote_quotas\": {\"mega1:\": 0}",
        "\"webdav_port\": 0",
        "\"file_hashes\": [\"md5\", \"md5\"]",
        "\"redundancy_mode\": \"Parity\"",
        "\"webdav_auth_method\": [\"none\"]",
        "\"use_crypt\": null",
        "\"data_prefix\": \"\"",
    ];
    for more in refused {
        let text = with(more);
        assert!(Config::parse(&text).is_err(), "{text}");
        assert!(!fits(&schema, &serde_json::from_str(&text).unwrap()), "{text}");
    }
    for text in ["{}", "{\"remotes\": []}", "[]"] {
        assert!(Config::parse(text).is_err() && !fits(&schema, &serde_json::from_str(text).unwrap()), "{text}");
    }
    for more in [
        "\"chunk_size\": 65536",
        "\"temp_dir\": null",
        "\"webdav_auth_method\": [\"basic\"]",
        "\"compression_level\": 22",
    ] {
        let text = with(more);
        assert!(Config::parse(&text).is_ok() && fits(&schema, &serde_json::from_str(&text).unwrap()), "{text}");
    }
}

#[test]
fn schema_struct_and_defaults_name_the_same_keys() {
    let schema = Config::schema();
    let properties = schema["properties"].as_object().unwrap();
    let default = serde_json::to_value(Config::default()).unwrap();
    let names = |map: &serde_json::Map<String, Value>| map.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(properties), names(default.as_object().unwrap()));
    for (key, property) in properties {
        let same = property.get("default") == Some(&default[key]) || default[key].is_null() || key == "remotes";
        assert!(same, "{key}: {property}");
        assert!(
            property["description"].is_string()
                && property.get("type").or(property.get("anyOf")).or(property.get("oneOf")).is_some()
        );
    }
    assert_eq!(schema["required"], json!(["remotes"]));
    assert_eq!(schema["additionalProperties"], json!(false));
}
