//! Writes `fuzz/corpus` from the test vectors, the built-in schemas and a few nodes, CARs and
//! torrents.

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

/// A torrent of a file, an info dictionary of an album with all kinds of files, links, and what peers
/// say.
const TORRENTS: [(&str, &str, &[u8]); 8] = [
    (
        "metainfo",
        "file",
        b"d8:announce9:udp://a:113:announce-listll9:udp://a:1ee7:comment1:c13:creation datei1e\
          4:infod6:lengthi3e4:name1:a12:piece lengthi2e6:pieces40:\
          aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbb7:privatei1ee5:nodesll3:::1i6881eee\
          8:url-listl10:https://w/ee",
    ),
    (
        "metainfo",
        "album",
        b"d5:filesld6:lengthi1e4:pathl1:a1:beed4:attr1:p6:lengthi1e4:pathl4:.pad1:1ee\
          d4:attr1:l4:pathl1:c1:d1:eeed6:lengthi0e4:pathl1:\xff1:ce10:path.utf-8l1:x1:yeee\
          4:name1:\xff10:name.utf-81:n12:piece lengthi2e6:pieces20:aaaaaaaaaaaaaaaaaaaae",
    ),
    ("bencode", "prefix", b"d0:le1:ad1:bi-10ee2:bbli0e4:spameei7e"),
    (
        "magnet",
        "hex",
        b"magnet:?xt=urn:btih:da39a3ee5e6b4b0d3255bfef95601890afd80709&dn=a%20b+c&tr.1=udp%3A%2F%2Fa\
          &ws=https%3A%2F%2Fw&x.pe=%5B::1%5D:1&so=0-2",
    ),
    (
        "magnet",
        "base32",
        b"magnet:?xt=urn:btmh:1220&amp;xt=urn:btih:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ",
    ),
    (
        "peer",
        "handshake",
        b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\x04aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbb",
    ),
    (
        "peer",
        "talk",
        b"\0\0\0\0\0\0\0\x03\x05\xff\xf0\0\0\0\x01\x01\0\0\0\x05\x04\0\0\0\x0b\0\0\0\x0e\x07\0\0\0\x03\0\0\x40\0\
          block\0\0\0\x0d\x10\0\0\0\x03\0\0\0\0\0\0\x40\0\0\0\0\x01\x0e\0\0\0\x03\x09\x1a\xe1",
    ),
    (
        "peer",
        "extended",
        b"\0\0\0\x45\x14\0d1:md11:ut_metadatai1ee13:metadata_sizei5e4:reqqi250e1:v8:a cliente\
          \0\0\0\x2f\x14\x01d8:msg_typei1e5:piecei3e10:total_sizei9eepart",
    ),
];

/// A block with a witness and three headers, of regtest: hex.
const BLOCKS: [(&str, &str, &str); 2] = [
    (
        "bitcoin_wire",
        "block",
        "000000207bd0c457b3b7fd7706ad3b529e312b3bcc62901ae36d72b16778a48987ea845de5901e1b2024\
         784f8f5c3ed0a157228f47138f7bcdb26d68cbc92cc0dc20b81168e25465ffff7f200400000002010000\
         000001010000000000000000000000000000000000000000000000000000000000000000ffffffff0b01\
         67086700000001000000ffffffff0200f2052a0100000001510000000000000000266a24aa21a9edbc97\
         298734d1baea9a8510cb2d18441b2c6c8befb4dcaae6ee5548e2effb74ed012000000000000000000000\
         000000000000000000000000000000000000000000000000000002000000000101b574354823f6eb840e\
         c3c0cf7b21eca743f88a744662c8f9b70c105a1a6ef5020000000000fdffffff02e80300000000000000\
         08c7052a0100000001510108010101010101010100000000",
    ),
    (
        "bitcoin_wire",
        "headers",
        "0000002006226e46111a0b59caaf126043eb5bbf28c34f3a5e332a1fc7b2b73cf188910fb574354823f6\
         eb840ec3c0cf7b21eca743f88a744662c8f9b70c105a1a6ef50258f35365ffff7f200100000000000020\
         8443d593d9fe03d0cd582a3a4d461527e5519e50ac0f551c148b0d9a2b025545bbabff857794ac85ee50\
         3a96dcff82c65df41b0e666aed2d06be206ae07bc5cbb0f55365ffff7f200000000000000020dde7f08a\
         50a52e248ca1498135d37baadc4487543db6b0cacda3f0cd04e1670d23f6aea079fdd3a3fb62ce4e1b0a\
         13bc008d533809b79fb9ef6b75d2f3b34f7608f85365ffff7f2000000000",
    ),
];

fn main() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let vectors = read(here, "entry-vectors.json");
    for (section, target) in [
        ("entries", "entry"),
        ("payloads", "payload"),
        ("holdings", "holding"),
        ("tickets", "ticket"),
    ] {
        write_vectors(here, target, &vectors[section]);
    }
    let vectors = read(here, "payment-vectors.json");
    write_vectors(here, "payment_proof", &vectors["proofs"]);
    for schema in [database::schema::forum(), database::schema::profile()] {
        let name = schema.name().replace('/', "-");
        write(here, "schema", &name, schema.text().as_bytes());
    }
    for (target, name, hex) in DAGS.into_iter().chain(BLOCKS) {
        write(here, target, name, &bytes(hex));
    }
    for (target, name, bytes) in TORRENTS {
        write(here, target, name, bytes);
    }
}

fn read(here: &Path, vectors: &str) -> Value {
    let file = here.join("../docs/protocol").join(vectors);
    let vectors = fs::read_to_string(file).expect("the vectors are in the repository");
    serde_json::from_str(&vectors).expect("the vectors are JSON")
}

fn write_vectors(here: &Path, target: &str, vectors: &Value) {
    for kind in ["valid", "invalid"] {
        for (number, vector) in vectors[kind].as_array().into_iter().flatten().enumerate() {
            write(here, target, &format!("{kind}-{number}"), &seed(vector));
        }
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
