//! Payment rows that datt itself would not publish: a liar's own program signs them, and they are
//! spread like any other.

use anyhow::{Context, Result, ensure};
use bitcoin::{Amount, TxOut};
use data_encoding::HEXLOWER;
use database::authoring::Draft;
use database::{Durability, Incoming, Outcome};
use datt::config::Config;
use datt::data_folder::DataFolder;
use datt::identity::salt;
use datt::service::rows;
use datt::{clock, storage};
use model::{Entry, EntryId, Payload, SpaceId};
use spv::Network;
use spv::proof::{Binding, Claim, PaymentProof, address_script, prove};

use super::{Chain, SATS, confirmed, paid};
use crate::node::{Node, Setup, eventually};
use crate::purse::{ARRIVES, OTHER_WORDS, counts, proofs_of, publish, reaches, vote};
use crate::scene::{Scene, text};

/// Signs payment rows with the key of a node that is stopped, whatever they say.
async fn forge(
    setup: &Setup,
    (space, thread): (SpaceId, EntryId),
    vote: EntryId,
    proofs: &[Vec<u8>],
) -> Result<()> {
    let folder = DataFolder::open(setup.data())?;
    let database = storage::open(&folder, &Config::default()).await?;
    let device = folder.device_key()?;
    for proof in proofs {
        let row = rows::payment(vote, proof);
        let draft = Draft {
            identity: folder.identity()?.context("no identity")?,
            device: device.public(),
            space,
            root: Some(thread),
            table: "payment",
            row: &row,
            expires_ms: None,
        };
        let plan = database.read()?.prepare(&draft, clock::now_ms())?;
        let payload = Payload::new(salt()?, row)?;
        let entry = Entry::sign(plan.header(&payload), &device)?;
        let incoming = vec![Incoming::local(entry, payload)?];
        let report = database.ingest(incoming, clock::now_ms(), Durability::Durable)?;
        let outcome = report.outcomes.first().map(|(_, outcome)| outcome);
        ensure!(matches!(outcome, Some(Outcome::Valid)), "{outcome:?}");
    }
    Ok(())
}

/// A true payment, bound to the vote, to the payer's own key.
fn to_oneself(chain: &Chain, payer: &Node, vote: EntryId) -> Result<PaymentProof> {
    publish(payer, OTHER_WORDS)?;
    let own = payer.client()?.get_json("/api/v1/payments/key")?;
    let key: [u8; 32] = HEXLOWER
        .decode(text(&own, "key")?.as_bytes())?
        .try_into()
        .map_err(|_| anyhow::anyhow!("not 32 bytes: {own}"))?;
    let output = TxOut {
        value: Amount::from_sat(SATS),
        script_pubkey: address_script(Network::Regtest, &key, &vote)?,
    };
    let block = chain.miner.mine(vec![chain.miner.pay(vec![output])?]);
    let claim = Claim {
        network: Network::Regtest,
        vote,
        key,
        key_row: text(&own, "row")?.parse()?,
        vout: 0,
        binding: Binding::Address,
    };
    Ok(prove(&block, 1, claim)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn false_proofs_of_a_liar_are_shown_as_false_and_never_counted() -> Result<()> {
    let scene = Scene::new()?;
    let chain = Chain::new()?;
    let mut pair = chain.pair(&scene)?;
    let honest = confirmed(&chain, &pair)?;
    let truth = proofs_of(&pair.author, &honest)?.remove(0);

    let post = pair.reply(&pair.author, "Another")?;
    let asked = vote(&pair.payer, &post, SATS)?;
    let unpaid = text(&asked, "vote")?;
    let id: EntryId = unpaid.parse()?;
    let mut replayed = PaymentProof::decode(&truth)?;
    replayed.vote = id;
    let lies = [
        b"paid, word of honour".to_vec(),
        truth.clone(),
        replayed.encode(),
        to_oneself(&chain, &pair.payer, id)?.encode(),
    ];
    let place = (pair.space.parse()?, pair.thread.parse()?);
    let (setup, ..) = pair.payer.stop()?;
    forge(&setup, place, id, &lies).await?;
    // a true one once more is no other payment
    let again = std::slice::from_ref(&truth);
    forge(&setup, place, honest.parse()?, again).await?;
    pair.payer = setup.start()?;

    let third = pair.third(chain.setup(&scene, "third"))?;
    for node in [&pair.author, &third] {
        let seen = reaches(node, &unpaid, "false", 0)?;
        ensure!(
            seen["counted_sats"] == 0 && seen["why"].is_string(),
            "{seen}"
        );
        counts(node, &honest, SATS)?;
        let sums = paid(node, &pair.thread)?;
        ensure!(sums["sats"] == SATS, "{sums}");
        let page = node.reader()?.get(&format!("/payments/{post}"))?;
        ensure!(
            page.status == 200 && page.text().contains("False"),
            "{}",
            page.text()
        );
    }
    // a true one counts, whatever else was said of the vote
    chain.mine(&chain.pays(&asked)?);
    for node in [&pair.author, &third] {
        counts(node, &unpaid, SATS)?;
        reaches(node, &unpaid, "confirmed", 1)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invented_payment_hides_no_address_and_claims_no_sats() -> Result<()> {
    let scene = Scene::new()?;
    let chain = Chain::new()?;
    let mut pair = chain.pair(&scene)?;
    let honest = confirmed(&chain, &pair)?;
    let truth = PaymentProof::decode(&proofs_of(&pair.author, &honest)?.remove(0))?;

    let post = pair.reply(&pair.author, "Another")?;
    let asked = vote(&pair.payer, &post, SATS)?;
    let unpaid = text(&asked, "vote")?;
    let id: EntryId = unpaid.parse()?;
    // sound in itself, in a block of nobody's chain
    let elsewhere = Chain::seeded(2)?;
    let output = TxOut {
        value: Amount::from_sat(SATS * 1_000),
        script_pubkey: address_script(Network::Regtest, &truth.key, &id)?,
    };
    let payment = elsewhere.miner.pay(vec![output])?;
    let claim = Claim {
        network: Network::Regtest,
        vote: id,
        key: truth.key,
        key_row: truth.key_row,
        vout: 0,
        binding: Binding::Address,
    };
    let invented = prove(&elsewhere.miner.mine(vec![payment]), 1, claim)?.encode();
    reaches(&pair.payer, &unpaid, "unpaid", 0)?;
    eventually("the vote", ARRIVES, || {
        let known = pair
            .author
            .client()?
            .get_json(&format!("/api/v1/entries/{unpaid}"));
        Ok(known.is_ok().then_some(()))
    })?;
    let place = (pair.space.parse()?, pair.thread.parse()?);
    let (setup, ..) = pair.author.stop()?;
    forge(&setup, place, id, &[invented]).await?;
    pair.author = setup.start()?;

    eventually("the forged row", ARRIVES, || {
        Ok(proofs_of(&pair.payer, &unpaid).is_ok().then_some(()))
    })?;
    let seen = reaches(&pair.payer, &unpaid, "unpaid", 0)?;
    ensure!(seen["uri"].is_string() && seen["sats"] == SATS, "{seen}");
    let seen = reaches(&pair.author, &unpaid, "unchecked", 0)?;
    ensure!(seen["sats"] == 0 && seen["why"].is_string(), "{seen}");
    ensure!(paid(&pair.author, &pair.thread)?["pending_sats"] == 0);
    Ok(())
}
