//! Writes `fuzz/corpus` from the test vectors, the built-in schemas and a few nodes and CARs.

use std::{fs, path::Path};

use serde_json::Value;

/// Nodes of UnixFS, and CARs after the length of the pieces that they are read in: in hex.
const DAGS: [(&str, &str, &str); 6] = [
    (
        "dag_pb",
        "file",
        "120c0a0601550002616212001802120c0a06015500026162120018020a080802180420022002",
    ),
    (
        "dag_pb",
        "directory",
        "12110a060155000261621205612e7478741802120e0a0601550002616212016218ac020a020801",
    ),
    (
        "dag_pb",
        "shard",
        "120e0a0601550002616212023030180212120a06015500026162120646466e616d6518020a29080512208000\
         0000000000000000000000000000000000000000000000000000000000012822308002",
    ),
    ("dag_pb", "symlink", "0a08080412042e2e2f78"),
    (
        "car",
        "small",
        "173aa265726f6f747381d82a58250001701220e89098bdcdc83b882f745d6aa6d8d40b15b166f4678a18eed4\
         385b41a92103746776657273696f6e014a01701220e89098bdcdc83b882f745d6aa6d8d40b15b166f4678a18\
         eed4385b41a9210374120c0a0601550002616212001802120c0a06015500026162120018020a080802180420\
         0220022e01701220fa5a7c49e5b17b379f4a96f8382c858bc6411eab13945da5c3f081089146d4480a080804\
         12042e2e2f7808015500026162616231017112205fc106a5c4895ee8d9062b76a35dd17302b116af727028eb\
         fcd0d391f0ca866ea1616cd82a4700015500026162",
    ),
    (
        "car",
        "without-roots",
        "0111a265726f6f7473806776657273696f6e01",
    ),
];

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
    for (target, name, hex) in DAGS {
        write(here, target, name, &bytes(hex));
    }
}

/// The bytes of a vector: hex, or the text itself.
fn seed(vector: &Value) -> Vec<u8> {
    if let Some(text) = vector["text"].as_str() {
        return text.as_bytes().to_vec();
    }
    bytes(
        vector["bytes"]
            .as_str()
            .expect("a vector has text or bytes"),
    )
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16).expect("bytes are hex") as u8;
    hex.as_bytes()
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

fn write(here: &Path, target: &str, name: &str, bytes: &[u8]) {
    let folder = here.join("corpus").join(target);
    fs::create_dir_all(&folder).expect("the corpus folder can be made");
    fs::write(folder.join(name), bytes).expect("the corpus can be written");
}
