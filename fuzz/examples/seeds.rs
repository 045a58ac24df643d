//! Writes `fuzz/corpus` from the test vectors and the built-in schemas.

use std::{fs, path::Path};

use serde_json::Value;

fn main() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let vectors = fs::read_to_string(here.join("../docs/protocol/entry-vectors.json"))
        .expect("the vectors are in the repository");
    let vectors: Value = serde_json::from_str(&vectors).expect("the vectors are JSON");
    for (section, target) in [
        ("entries", "entry"),
        ("payloads", "payload"),
        ("holdings", "holding"),
        ("tickets", "ticket"),
    ] {
        for kind in ["valid", "invalid"] {
            for (number, vector) in vectors[section][kind]
                .as_array()
                .into_iter()
                .flatten()
                .enumerate()
            {
                write(here, target, &format!("{kind}-{number}"), &seed(vector));
            }
        }
    }
    for schema in [database::schema::forum(), database::schema::profile()] {
        let name = schema.name().replace('/', "-");
        write(here, "schema", &name, schema.text().as_bytes());
    }
}

/// The bytes of a vector: hex, or the text itself.
fn seed(vector: &Value) -> Vec<u8> {
    if let Some(text) = vector["text"].as_str() {
        return text.as_bytes().to_vec();
    }
    let hex = vector["bytes"]
        .as_str()
        .expect("a vector has text or bytes")
        .as_bytes();
    let digit = |digit: u8| char::from(digit).to_digit(16).expect("bytes are hex") as u8;
    hex.chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

fn write(here: &Path, target: &str, name: &str, bytes: &[u8]) {
    let folder = here.join("corpus").join(target);
    fs::create_dir_all(&folder).expect("the corpus folder can be made");
    fs::write(folder.join(name), bytes).expect("the corpus can be written");
}
