//! The OpenAPI document says what is mounted: no more, no less.

use std::collections::BTreeSet;

use super::App;
use crate::api::routes;

#[tokio::test]
async fn the_document_lists_exactly_the_mounted_routes() {
    let (answers, streams) = (routes::answers(), routes::streams());
    let mounted: BTreeSet<(String, String)> = answers
        .mounted()
        .iter()
        .chain(streams.mounted())
        .map(|(method, path)| (method.as_str().to_lowercase(), (*path).to_owned()))
        .collect();
    let document = App::new().get("/api/v1/openapi.json").await.json();
    let mut listed = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            listed.insert((method.clone(), path.clone()));
        }
    }
    let missing: Vec<_> = mounted.difference(&listed).collect();
    let extra: Vec<_> = listed.difference(&mounted).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "missing {missing:?}, extra {extra:?}"
    );
}

#[tokio::test]
async fn every_reference_of_the_document_resolves() {
    let document = App::new().get("/api/v1/openapi.json").await.json();
    let mut found = 0;
    let mut open = vec![&document];
    while let Some(value) = open.pop() {
        match value {
            serde_json::Value::Object(fields) => {
                if let Some(reference) = fields.get("$ref").and_then(|reference| reference.as_str())
                {
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                    found += 1;
                }
                open.extend(fields.values());
            }
            serde_json::Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    assert!(found > 50, "only {found} references");
}

#[tokio::test]
async fn every_write_of_the_document_asks_for_the_token() {
    let document = App::new().get("/api/v1/openapi.json").await.json();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let writes = ["post", "put", "delete"].contains(&method.as_str());
            assert!(
                !writes || operation["security"][0]["token"].is_array(),
                "{method} {path}"
            );
        }
    }
}
