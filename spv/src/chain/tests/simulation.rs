//! Random branches, honest and not, against the naive model; restarts in between.

use std::collections::BTreeMap;

use bitcoin::{BlockHash, CompactTarget, block::Header};
use proptest::prelude::*;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

use super::{
    super::{ChainStore, Change, HeaderChain, StoreError},
    forge::{self, NOW_S},
    model::{self, Model},
};

struct Simulation {
    random: ChaCha8Rng,
    model: Model,
    store: ChainStore,
    folder: tempfile::TempDir,
    /// What a listener to the changes thinks is the chain.
    heard: Vec<BlockHash>,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let chain = HeaderChain::with_rules(forge::lively_rules());
        Self {
            random: ChaCha8Rng::seed_from_u64(seed),
            model: Model::new(forge::lively_rules()),
            store: ChainStore::open_onto(&folder.path().join("headers"), chain).unwrap(),
            folder,
            heard: vec![forge::lively_rules().genesis.block_hash()],
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random.next_u32() as usize % bound
    }

    /// A branch on the end, near it, or anywhere; now and then one of its headers is wrong.
    fn batch(&mut self) -> Vec<Header> {
        let best = self.model.best();
        let (end, count) = (best.len() - 1, best.len());
        let parent = match self.random.next_u32() % 8 {
            0..3 => best[end],
            3..7 => best[end.saturating_sub(self.random.next_u32() as usize % 9)],
            _ => {
                let all = self.model.all();
                all[self.random.next_u32() as usize % all.len().min(count * 2)]
            }
        };
        let mut branch = self.model.branch(&parent.block_hash()).unwrap();
        let mut batch = Vec::new();
        for _ in 0..=self.below(14) {
            let header = self.child(&branch);
            branch.push(header);
            batch.push(header);
        }
        if self.below(6) == 0 {
            batch.remove(self.below(batch.len()));
        }
        batch
    }

    fn child(&mut self, branch: &[Header]) -> Header {
        let last = branch[branch.len() - 1];
        let latest_s = branch.iter().rev().take(11).map(|one| one.time).max();
        let mut time_s = latest_s.unwrap() + 1 + self.random.next_u32() % 6;
        if self.below(4) == 0 {
            time_s = model::median_s(branch) + 1 + self.random.next_u32() % 4;
        }
        let rules = forge::lively_rules();
        let bits = model::next_bits(branch, time_s, &rules);
        let salt = self.random.next_u32();
        let mut header = forge::header(last.block_hash(), time_s, bits, salt);
        match self.below(60) {
            0 => header.time = model::median_s(branch),
            1 => header.bits = CompactTarget::from_consensus(bits.to_consensus() - 1),
            2 => header.version = bitcoin::block::Version::from_consensus(2),
            3 => return forge::ground(header, false),
            _ => {}
        }
        forge::ground(header, true)
    }

    fn step(&mut self) {
        let batch = self.batch();
        let good = batch
            .iter()
            .position(|header| !self.model.accept(header))
            .unwrap_or(batch.len());
        let change = match self.store.accept(&batch, NOW_S) {
            Ok(change) => {
                assert_eq!(good, batch.len(), "taken, but not by the model");
                change
            }
            Err(StoreError::Refused(error)) => {
                assert_eq!(error.index, good, "{error}");
                *error.kept
            }
            Err(error) => panic!("{error}"),
        };
        self.hear(&change);
        if self.below(20) == 0 {
            let path = self.folder.path().join("headers");
            let chain = HeaderChain::with_rules(forge::lively_rules());
            self.store = ChainStore::open_onto(&path, chain).unwrap();
        }
        self.compare();
    }

    fn hear(&mut self, change: &Change) {
        for gone in &change.disconnected {
            assert_eq!(self.heard.pop().as_ref(), Some(gone));
        }
        for (height, hash) in &change.connected {
            assert_eq!(self.heard.len(), *height as usize);
            self.heard.push(*hash);
        }
        assert_eq!(self.heard.last(), Some(&change.tip.hash));
    }

    fn compare(&self) {
        let chain = self.store.chain();
        let best = self.model.best();
        let tip = chain.tip();
        assert_eq!(tip.height as usize, best.len() - 1);
        assert_eq!(tip.work, model::work(best));
        let active: Vec<Header> = chain.headers_from(0).copied().collect();
        assert_eq!(active, best);
        for (height, hash) in (0..).zip(&self.heard) {
            assert_eq!(chain.hash(height), Some(*hash));
            assert_eq!(chain.height_of(hash), Some(height));
        }
        assert_eq!(chain.hash(tip.height + 1), None);
        let known = tip.height as usize + 1 + chain.side_headers();
        assert_eq!(known, self.model.all().len());
    }
}

#[test]
fn random_branches_lead_where_the_naive_model_leads() {
    let mut reorganised = BTreeMap::new();
    for seed in 0..5 {
        let mut simulation = Simulation::new(seed);
        for _ in 0..40 {
            let before = simulation.heard.clone();
            simulation.step();
            let kept = before.iter().zip(&simulation.heard);
            let common = kept.take_while(|(old, new)| old == new).count();
            *reorganised.entry(before.len() - common).or_insert(0) += 1;
        }
    }
    let deep: i32 = reorganised.range(3..).map(|(_, count)| count).sum();
    assert!(deep >= 10, "branches did win: {reorganised:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn headers_lead_to_the_same_end_in_whatever_batches_they_come(
        seed in any::<u64>(),
        cuts in prop::collection::vec(1_usize..30, 1..40),
    ) {
        let mut simulation = Simulation::new(seed);
        for _ in 0..12 {
            simulation.step();
        }
        let path = simulation.folder.path().join("headers");
        let bytes = std::fs::read(path).unwrap();
        let records = bytes[80..].chunks_exact(80);
        let headers: Vec<Header> = records
            .map(|bytes| super::super::record::decode(bytes.try_into().unwrap()))
            .collect();
        let mut chain = HeaderChain::with_rules(forge::lively_rules());
        let (mut rest, mut cuts) = (&headers[..], cuts.iter().cycle());
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
            chain.accept(batch, NOW_S).unwrap();
            rest = later;
        }
        prop_assert_eq!(chain.tip(), simulation.store.chain().tip());
        prop_assert_eq!(chain.side_tips(), simulation.store.chain().side_tips());
    }
}
