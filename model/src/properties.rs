//! Properties of the codecs over generated values.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::{collection::vec, option, prelude::*};

use crate::{
    BlobId, DeviceKey, EndpointKey, Entry, EntryError, EntryId, Header, Holding, IdentityId, Ipld,
    Item, KeyError, Payload, PayloadId, RelayHint, Row, SchemaId, SecretKey, SpaceId, Ticket,
    Unverified, limits,
};

fn entry_id() -> impl Strategy<Value = EntryId> {
    any::<[u8; 32]>().prop_map(EntryId::from_bytes)
}

fn value() -> impl Strategy<Value = Ipld> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Ipld::Bool),
        any::<i64>().prop_map(|number| Ipld::Integer(number.into())),
        ".{0,20}".prop_map(Ipld::String),
        vec(any::<u8>(), 0..40).prop_map(Ipld::Bytes),
        any::<[u8; 32]>().prop_map(|id| Ipld::Link(BlobId::from_bytes(id).to_cid())),
        entry_id().prop_map(|id| Ipld::Link(id.to_cid())),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Ipld::List),
            prop::collection::btree_map("[a-z_]{1,8}", inner, 0..6).prop_map(Ipld::Map),
        ]
    })
}

fn row() -> impl Strategy<Value = Row> {
    prop::collection::btree_map("[a-z_]{1,32}", value(), 0..8)
}

prop_compose! {
    fn extensions()(
        keys in prop::collection::btree_set(limits::CRITICAL_EXTENSIONS.., 0..4),
        bytes in any::<u8>(),
        length in 0..50_usize,
    ) -> BTreeMap<u64, Vec<u8>> {
        keys.into_iter().map(|key| (key, vec![bytes; length])).collect()
    }
}

prop_compose! {
    /// A header that keeps every rule, by this key.
    fn header(secret: SecretKey)(
        ids in any::<[[u8; 32]; 5]>(),
        seq in 0..limits::COUNTER,
        depth in 1..limits::COUNTER,
        time_ms in 0..limits::TIME_MS,
        life_ms in option::of(0..limits::TIME_MS),
        parents in prop::collection::btree_set(entry_id(), 0..=limits::PARENTS),
        backlink in entry_id(),
        root in option::of(entry_id()),
        grant in option::of(entry_id()),
        table in "[$]?[a-z_][a-z0-9_]{0,30}",
        payload_size in 0..=65_536_u32,
        extensions in extensions(),
    ) -> Header {
        Header {
            device: secret.public(),
            identity: Some(IdentityId::from_bytes(ids[0])),
            seq,
            backlink: (seq > 0).then_some(backlink),
            time_ms,
            depth: if parents.is_empty() { 0 } else { depth },
            root,
            parents: parents.into_iter().collect(),
            grant,
            space: Some(SpaceId::from_bytes(ids[1])),
            schema: SchemaId::from_bytes(ids[2]),
            table: if table == "$genesis" { "post".to_owned() } else { table },
            payload_size,
            payload: PayloadId::from_bytes(ids[3]),
            expires_ms: life_ms
                .map(|life_ms| time_ms.saturating_add(life_ms).min(limits::TIME_MS - 1)),
            extensions,
        }
    }
}

fn signed() -> impl Strategy<Value = Header> {
    header(SecretKey::from_bytes(&[7; 32]))
}

fn secret() -> SecretKey {
    SecretKey::from_bytes(&[7; 32])
}

prop_compose! {
    fn ticket()(
        endpoint in any::<[u8; 32]>(),
        addresses in vec(any::<std::net::SocketAddr>(), 0..=limits::TICKET_ADDRESSES),
        relays in vec(("[a-z:/.]{1,60}", option::of("[a-z0-9]{0,40}")), 0..=limits::TICKET_RELAYS),
        space in option::of(any::<[u8; 32]>()),
        root in option::of(entry_id()),
    ) -> Ticket {
        Ticket {
            endpoint: EndpointKey::from_bytes(endpoint),
            addresses: addresses.into_iter().map(|address| {
                // Flow label and scope are of one machine only; a ticket carries neither.
                std::net::SocketAddr::new(address.ip(), address.port())
            }).collect(),
            relays: relays.into_iter().map(|(url, token)| RelayHint { url, token }).collect(),
            space: space.map(SpaceId::from_bytes),
            root,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn what_was_signed_is_read_back(header in signed()) {
        let entry = Entry::sign(header.clone(), &secret()).unwrap();
        prop_assert!(entry.bytes().len() <= limits::ENTRY_BYTES);
        let read = Entry::<Unverified>::decode(entry.bytes()).unwrap().verify().unwrap();
        prop_assert_eq!(read.header(), &header);
        prop_assert_eq!(read.id(), EntryId::of(entry.bytes()));
        prop_assert_eq!(Entry::from_store(entry.id(), entry.bytes()).unwrap(), entry);
    }

    #[test]
    fn one_changed_bit_is_always_refused(header in signed(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let entry = Entry::sign(header, &secret()).unwrap();
        let mut bytes = entry.bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let read = Entry::<Unverified>::decode(&bytes).and_then(Entry::verify);
        prop_assert!(read.is_err());
        if at >= bytes.len() - 64 {
            prop_assert_eq!(read.unwrap_err(), EntryError::Signature(KeyError::Signature));
        }
    }

    #[test]
    fn nobody_signs_for_another_device(header in signed(), seed in any::<[u8; 32]>()) {
        prop_assume!(seed != [7; 32]);
        let other = SecretKey::from_bytes(&seed);
        prop_assert!(Entry::sign(header, &other).is_err());
    }

    #[test]
    fn a_row_is_read_back(row in row(), salt in any::<[u8; 16]>()) {
        let payload = Payload::new(salt, row.clone()).unwrap();
        let read = Payload::decode(payload.bytes()).unwrap();
        prop_assert_eq!(read.row(), &row);
        prop_assert_eq!(read, payload);
    }

    #[test]
    fn another_salt_is_another_payload(row in row(), salts in any::<[[u8; 16]; 2]>()) {
        prop_assume!(salts[0] != salts[1]);
        let [a, b] = salts.map(|salt| Payload::new(salt, row.clone()).unwrap().id());
        prop_assert_ne!(a, b);
    }

    #[test]
    fn a_statement_is_read_back(
        items in vec(prop_oneof![
            any::<[u8; 32]>().prop_map(|id| Item::Blob(BlobId::from_bytes(id))),
            entry_id().prop_map(Item::Post),
        ], 1..=limits::HOLDING_ITEMS),
        time_ms in 0..limits::TIME_MS,
        life_ms in 0..=limits::HOLDING_LIFE_MS,
    ) {
        let holding = Holding::sign(&secret(), items, time_ms, time_ms + life_ms).unwrap();
        prop_assert_eq!(Holding::decode(holding.bytes()), Ok(holding));
    }

    #[test]
    fn a_ticket_is_read_back(ticket in ticket()) {
        let text = ticket.to_string();
        prop_assume!(text.len() <= limits::TICKET_CHARS);
        prop_assert_eq!(text.parse(), Ok(ticket));
    }

    #[test]
    fn ids_are_read_back(bytes in any::<[u8; 32]>()) {
        let (entry, blob, key) = (EntryId::from_bytes(bytes), BlobId::from_bytes(bytes), DeviceKey::from_bytes(bytes));
        prop_assert_eq!(entry.to_string().parse(), Ok(entry));
        prop_assert_eq!(blob.to_string().parse(), Ok(blob));
        prop_assert_eq!(key.to_string().parse(), Ok(key));
        prop_assert!(blob.to_string().parse::<EntryId>().is_err());
    }

    #[test]
    fn decoders_take_any_bytes(bytes in vec(any::<u8>(), 0..300)) {
        let _ = Entry::<Unverified>::decode(&bytes);
        let _ = Payload::decode(&bytes);
        let _ = Holding::decode(&bytes);
        let _ = String::from_utf8_lossy(&bytes).parse::<Ticket>();
    }
}
