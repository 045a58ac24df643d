//! A schema that parses has one canonical text, which parses to the same schema.
#![no_main]

use database::schema::Schema;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(schema) = Schema::parse(text) else {
        return;
    };
    let again = Schema::parse(schema.text()).expect("the canonical text parses");
    assert_eq!(again.text(), schema.text());
    assert_eq!(again.id(), schema.id());
});
