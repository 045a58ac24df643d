#![allow(clippy::unwrap_used)]

use bitcoin::{
    Amount, OutPoint, Psbt, TxOut, Txid, absolute::LockTime, hashes::Hash, script::PushBytesBuf,
    transaction::Version,
};

use super::*;
use crate::payments::keys::Spending;

const NETWORK: Network = Network::Regtest;
/// P2WPKH on regtest, of BIP173's first test vector.
const WITNESS_KEY: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

fn entry(name: &str) -> EntryId {
    EntryId::of(name.as_bytes())
}

/// A payee with a key of its own.
fn payee(number: u8) -> Payee {
    let mnemonic = bip39::Mnemonic::from_entropy(&[number; 16]).unwrap();
    let wallet = Spending::from_words(&mnemonic.to_string(), NETWORK).unwrap();
    Payee {
        key: wallet.public(),
        key_row: entry(&format!("row {number}")),
        address: None,
    }
}

fn unpaid(name: &str, sats: u64, payee: Payee) -> Unpaid {
    Unpaid {
        vote: entry(name),
        sats,
        payee: Some(payee),
    }
}

fn two() -> Batch {
    let gathered = gather(
        NETWORK,
        vec![
            unpaid("a", 600, payee(1)),
            unpaid("b", 1_000, payee(2)),
            unpaid("c", 400, payee(1)),
        ],
        10,
    );
    assert_eq!(gathered.left_out, []);
    Batch::new(NETWORK, &gathered.recipients).unwrap()
}

#[test]
fn votes_are_gathered_by_recipient_in_their_order() {
    let batch = two();
    let outputs: Vec<_> = batch
        .outputs()
        .iter()
        .map(|one| (one.value.to_sat(), one.script_pubkey.is_op_return()))
        .collect();
    assert_eq!(outputs, [(1_000, false), (1_000, false), (0, true)]);
    let own = plain_script(&payee(1).key).unwrap();
    assert_eq!(batch.outputs()[0].script_pubkey, own);
}

#[test]
fn votes_that_cannot_be_paid_are_left_out_with_the_reason() {
    let addressed = |address: &str| Payee {
        address: Some(address.to_owned()),
        ..payee(3)
    };
    let no_point = Payee {
        key: [0xff; 32],
        ..payee(4)
    };
    let mainnet = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
    let gathered = gather(
        NETWORK,
        vec![
            Unpaid {
                payee: None,
                ..unpaid("nobody", 1_000, payee(1))
            },
            unpaid("free", 0, payee(1)),
            unpaid("taproot dust", 329, payee(1)),
            unpaid("witness dust", 293, addressed(WITNESS_KEY)),
            unpaid("not a key", 1_000, no_point),
            unpaid("elsewhere", 1_000, addressed(mainnet)),
            unpaid("no address", 1_000, addressed("lnbc1")),
            unpaid("paid", 330, payee(2)),
            unpaid("paid", 330, payee(2)),
        ],
        10,
    );
    assert_eq!(gathered.votes().collect::<Vec<_>>(), [entry("paid")]);
    for (name, part) in [
        ("nobody", "no payment key for regtest"),
        ("free", "0 sats"),
        ("taproot dust", "329 sats, and no output below 330"),
        ("witness dust", "293 sats, and no output below 294"),
        ("not a key", "no public key"),
        ("elsewhere", "another network"),
        ("no address", "none on regtest"),
        ("paid", "once already"),
    ] {
        let why = gathered
            .left_out
            .iter()
            .find(|(vote, _)| *vote == entry(name));
        let why = why.unwrap().1.to_string();
        assert!(why.contains(part), "{name}: {why}");
    }
    assert_eq!(gathered.left_out.len(), 8);
    // Together they are no dust.
    let gathered = gather(
        NETWORK,
        vec![unpaid("a", 200, payee(1)), unpaid("b", 130, payee(1))],
        10,
    );
    assert_eq!((gathered.recipients.len(), gathered.left_out.len()), (1, 0));
}

#[test]
fn a_full_batch_leaves_the_rest_for_another() {
    let votes = (0..5).map(|n| unpaid(&n.to_string(), 1_000, payee(1)));
    let gathered = gather(NETWORK, votes.collect(), 3);
    let paid: Vec<_> = gathered.votes().collect();
    assert_eq!(paid, [entry("0"), entry("1"), entry("2")]);
    let full = LeftOut::TooManyVotes(3);
    assert_eq!(
        gathered.left_out,
        [(entry("3"), full.clone()), (entry("4"), full)]
    );
    let rows = 0..=u64::try_from(MAX_RECIPIENTS).unwrap();
    let rows = rows.map(|n| {
        let mut payee = payee(1);
        payee.key_row = entry(&n.to_string());
        unpaid(&n.to_string(), 1_000, payee)
    });
    let gathered = gather(NETWORK, rows.collect(), usize::MAX);
    assert_eq!(gathered.recipients.len(), MAX_RECIPIENTS);
    assert_eq!(gathered.left_out[0].1, LeftOut::TooManyRecipients);
    Batch::new(NETWORK, &gathered.recipients).unwrap();
}

fn coin(number: u8, sats: u64) -> Coin {
    Coin {
        outpoint: OutPoint::new(Txid::from_byte_array([number; 32]), 0),
        sats,
        script: plain_script(&payee(9).key).unwrap(),
    }
}

fn change() -> ScriptBuf {
    read_address(NETWORK, WITNESS_KEY).unwrap().script_pubkey()
}

#[test]
fn a_template_comes_back_from_base64_as_it_was() {
    let batch = two();
    let bare = Funding::default();
    let funded = Funding {
        coins: vec![coin(1, 5_000), coin(2, 5_000)],
        change: Some(change()),
        fee_sat_per_vb: 2,
    };
    for funding in [&bare, &funded] {
        let template = template(&batch, funding).unwrap();
        let text = template.psbt.to_string();
        assert!(text.starts_with("cHNidP8"), "{text}");
        let psbt: Psbt = text.parse().unwrap();
        assert_eq!(psbt, template.psbt);
        let transaction = &psbt.unsigned_tx;
        assert_eq!(transaction.version, Version::TWO);
        assert_eq!(transaction.lock_time, LockTime::ZERO);
        assert_eq!(transaction.input.len(), funding.coins.len());
        let unsigned = |one: &bitcoin::TxIn| one.script_sig.is_empty() && one.witness.is_empty();
        assert!(transaction.input.iter().all(unsigned));
        let planned = batch.outputs().len();
        assert_eq!(&transaction.output[..planned], batch.outputs());
        assert!(transaction.output[planned - 1].script_pubkey.is_op_return());
        assert_eq!(fits(&batch, transaction), Ok(()));
        let (behind, coins) = (&transaction.output[planned..], &psbt.inputs);
        if funding.coins.is_empty() {
            assert_eq!((behind.len(), template.fee_sats), (0, None));
            continue;
        }
        let [last] = behind else {
            panic!("change and nothing else");
        };
        assert_eq!(last.script_pubkey, change());
        let (sats, fee) = (template.change_sats.unwrap(), template.fee_sats.unwrap());
        assert_eq!(last.value.to_sat(), sats);
        assert_eq!(sats + fee + batch.total_sats(), 10_000);
        assert_eq!(psbt.fee().unwrap().to_sat(), fee);
        for (input, coin) in coins.iter().zip(&funding.coins) {
            let utxo = input.witness_utxo.as_ref().unwrap();
            assert_eq!(utxo.value.to_sat(), coin.sats);
            assert_eq!(utxo.script_pubkey, coin.script);
        }
    }
}

#[test]
fn the_fee_is_what_the_signed_transaction_will_cost() {
    let batch = two();
    let funding = Funding {
        coins: vec![coin(1, 50_000)],
        change: Some(change()),
        fee_sat_per_vb: 3,
    };
    let template = template(&batch, &funding).unwrap();
    let mut signed = template.psbt.unsigned_tx.clone();
    // A taproot key path spend is one signature of 64 bytes.
    signed.input[0].witness = bitcoin::Witness::from_slice(&[[7; 64]]);
    let vbytes = u64::try_from(signed.vsize()).unwrap();
    assert_eq!(template.fee_sats, Some(3 * vbytes));
}

#[test]
fn change_that_is_dust_goes_to_the_fee() {
    let batch = two();
    let with = |sats, change| Funding {
        coins: vec![coin(1, sats)],
        change,
        fee_sat_per_vb: 1,
    };
    let enough = template(&batch, &with(100_000, Some(change()))).unwrap();
    let cost = enough.fee_sats.unwrap() + batch.total_sats();
    let least = template(&batch, &with(cost + 294, Some(change()))).unwrap();
    assert_eq!(least.change_sats, Some(294));
    let dust = template(&batch, &with(cost + 293, Some(change()))).unwrap();
    assert_eq!(dust.change_sats, None);
    assert_eq!(dust.fee_sats.unwrap() + batch.total_sats(), cost + 293);
    let exact = template(&batch, &with(cost, None)).unwrap();
    assert_eq!(exact.change_sats, None);
}

#[test]
fn coins_that_do_not_fit_are_refused_with_the_reason() {
    let batch = two();
    let funding = |coins: Vec<Coin>, fee_sat_per_vb| Funding {
        coins,
        change: None,
        fee_sat_per_vb,
    };
    let strange = Coin {
        script: ScriptBuf::from_hex("51").unwrap(),
        ..coin(1, 5_000)
    };
    let many = (0..=255).map(|number| coin(number, 5_000)).collect();
    let huge = vec![coin(1, u64::MAX), coin(2, u64::MAX)];
    for (funding, part) in [
        (funding(vec![coin(1, 5_000)], 0), "fee rate"),
        (
            funding(vec![coin(1, 5_000)], FEE_SAT_PER_VB + 1),
            "fee rate",
        ),
        (funding(vec![coin(1, 2_000)], 1), "need"),
        (funding(vec![coin(1, 90_000)], 1), "address for the change"),
        (funding(vec![coin(1, 5_000), coin(1, 5_000)], 1), "twice"),
        (funding(vec![strange], 1), "P2WPKH nor taproot"),
        (funding(huge, 1), "bitcoins"),
        (
            Funding {
                change: Some(change()),
                ..funding(many, 1)
            },
            "256 coins",
        ),
    ] {
        let error = template(&batch, &funding).unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn transactions_that_break_the_batch_are_refused_with_the_reason() {
    let batch = two();
    let good = template(&batch, &Funding::default()).unwrap();
    let good = good.psbt.unsigned_tx;
    let changed = |change: &dyn Fn(&mut Vec<TxOut>)| {
        let mut transaction = good.clone();
        change(&mut transaction.output);
        fits(&batch, &transaction)
    };
    let extra = TxOut {
        value: Amount::from_sat(5_000),
        script_pubkey: change(),
    };
    assert_eq!(changed(&|outputs| outputs.push(extra.clone())), Ok(()));
    let raised = |outputs: &mut Vec<TxOut>| outputs[0].value = Amount::from_sat(2_000);
    assert_eq!(changed(&raised), Ok(()));
    let wanted = Misfit::Moved {
        wanted: 0,
        found: 1,
    };
    assert_eq!(
        changed(&|outputs| outputs.insert(0, extra.clone())),
        Err(wanted.clone())
    );
    assert_eq!(changed(&|outputs| outputs.swap(0, 1)), Err(wanted));
    let lowered = |outputs: &mut Vec<TxOut>| outputs[1].value = Amount::from_sat(999);
    let amount = Misfit::Amount {
        place: 1,
        wanted: 1_000,
        found: 999,
    };
    assert_eq!(changed(&lowered), Err(amount));
    let replaced = |outputs: &mut Vec<TxOut>| outputs[1] = extra.clone();
    let missing = Misfit::Missing {
        place: 1,
        sats: 1_000,
    };
    assert_eq!(changed(&replaced), Err(missing));
    let dropped = |outputs: &mut Vec<TxOut>| outputs.truncate(2);
    assert_eq!(changed(&dropped), Err(Misfit::NoCommitment));
    let again = |outputs: &mut Vec<TxOut>| outputs.push(outputs[2].clone());
    assert_eq!(changed(&again), Err(Misfit::SeveralCommitments(2)));
    let long = PushBytesBuf::try_from(vec![0; 8_000]).unwrap();
    let long = TxOut {
        value: Amount::ZERO,
        script_pubkey: ScriptBuf::new_op_return(long),
    };
    let long = changed(&|outputs| outputs.push(long.clone()));
    assert!(matches!(long, Err(Misfit::TooLong { .. })), "{long:?}");
}
