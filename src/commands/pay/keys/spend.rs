//! What was received, and what spends it.

use std::collections::{BTreeMap, btree_map::Entry};

use bitcoin::{Address, ScriptBuf};
use data_encoding::HEXLOWER;
use serde::Serialize;
use spv::Network;
use views::{amount::count, data::Received};

use super::wrong;
use crate::{
    commands::{failure::CommandError, words::line},
    payments::keys::{self, KeyError, Spending},
};

/// What spends some of what was received.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub(super) struct Spend {
    pub(super) network: String,
    /// X-only public key that was paid to.
    pub(super) key: String,
    /// Script of the outputs that it is for, hex.
    pub(super) script_hex: String,
    /// The same as an address.
    pub(super) address: Option<String>,
    /// What was added to it; none in a batch.
    pub(super) tweak_hex: Option<String>,
    /// Descriptor that shows the money; none where it went to the person's other address.
    pub(super) watch: Option<String>,
    /// Descriptor that spends it, private only where that was asked for.
    pub(super) spend: Option<String>,
    pub(super) votes: Vec<String>,
    pub(super) outpoints: Vec<String>,
    pub(super) sats: u64,
    /// What is amiss, or where else it went.
    pub(super) note: Option<String>,
}

impl Spend {
    /// In words.
    pub(super) fn describe(&self) -> String {
        let mut text = if self.outpoints.is_empty() {
            format!("not proved yet: {}", self.votes.join(" "))
        } else {
            format!(
                "{}  {}, {}",
                self.outpoints.join(" "),
                count(self.sats, "sat", "sats"),
                count(self.votes.len() as u64, "vote", "votes"),
            )
        };
        text.push_str(&format!("\n  key    {}", line(&self.key)));
        let to = self.address.as_ref().unwrap_or(&self.script_hex);
        text.push_str(&format!("\n  to     {}", line(to)));
        for (name, what) in [
            ("watch", &self.watch),
            ("spend", &self.spend),
            ("note ", &self.note),
        ] {
            if let Some(what) = what {
                text.push_str(&format!("\n  {name}  {what}"));
            }
        }
        text
    }
}

/// One entry for each descriptor, in the order of what was received.
pub(super) fn gather(received: &[Received]) -> Vec<Spend> {
    let mut spends = Vec::<Spend>::new();
    let mut places = BTreeMap::new();
    for one in received {
        let place = (&one.network, &one.key, &one.tweak_hex, &one.script_hex);
        let at = match places.entry(place) {
            Entry::Occupied(at) => *at.get(),
            Entry::Vacant(free) => {
                spends.push(public(one));
                *free.insert(spends.len() - 1)
            }
        };
        let spend = &mut spends[at];
        spend.votes.push(one.vote.clone());
        spend.sats = spend.sats.saturating_add(one.sats);
        if !one.outpoint.is_empty() && !spend.outpoints.contains(&one.outpoint) {
            spend.outpoints.push(one.outpoint.clone());
        }
    }
    spends
}

fn public(one: &Received) -> Spend {
    let mut spend = Spend {
        network: one.network.clone(),
        key: one.key.clone(),
        script_hex: one.script_hex.clone(),
        address: address(one),
        tweak_hex: one.tweak_hex.clone(),
        watch: None,
        spend: None,
        votes: Vec::new(),
        outpoints: Vec::new(),
        sats: 0,
        note: None,
    };
    match read(one) {
        Ok((key, tweak)) if pays(&key, tweak.as_ref(), &one.script_hex) => {
            spend.watch = keys::watching(&key, tweak.as_ref()).ok();
            spend.spend = Some(keys::placeholder(tweak.as_ref()));
        }
        Ok((_, None)) => {
            spend.note =
                Some("paid to the address you published: its own wallet spends it".to_owned());
        }
        Ok((_, Some(_))) => {
            spend.note = Some("its script is not the one that key and tweak make".to_owned());
        }
        Err(error) => spend.note = Some(error.to_string()),
    }
    spend
}

/// Where an output pays to, if its script stands for an address.
fn address(one: &Received) -> Option<String> {
    let network: Network = one.network.parse().ok()?;
    let script = ScriptBuf::from_hex(&one.script_hex).ok()?;
    let address = Address::from_script(&script, network.kind()).ok()?;
    Some(address.to_string())
}

fn read(one: &Received) -> Result<([u8; 32], Option<[u8; 32]>), KeyError> {
    let key = keys::parse(&one.key)?;
    let Some(text) = &one.tweak_hex else {
        return Ok((key, None));
    };
    let tweak = HEXLOWER.decode(text.as_bytes()).ok();
    let tweak = tweak.and_then(|bytes| bytes.try_into().ok());
    tweak
        .map(|tweak| (key, Some(tweak)))
        .ok_or_else(|| KeyError::Tweak(text.clone()))
}

fn pays(key: &[u8; 32], tweak: Option<&[u8; 32]>, script_hex: &str) -> bool {
    keys::script(key, tweak).is_ok_and(|script| script.to_hex_string() == script_hex)
}

/// Puts private keys where placeholders are; the words must be those of one of the keys at least.
pub(super) fn reveal(spends: &mut [Spend], words: &str) -> Result<(), CommandError> {
    let mut refused = None;
    let mut revealed = 0;
    let mut wallets = BTreeMap::<Network, Spending>::new();
    for spend in spends.iter_mut().filter(|spend| spend.spend.is_some()) {
        let Ok(network) = spend.network.parse::<Network>() else {
            continue;
        };
        let wallet = match wallets.entry(network) {
            Entry::Occupied(wallet) => wallet.into_mut(),
            Entry::Vacant(free) => {
                free.insert(Spending::from_words(words, network).map_err(wrong)?)
            }
        };
        let key = keys::parse(&spend.key).map_err(wrong)?;
        let tweak = spend.tweak_hex.as_ref();
        let tweak = tweak.and_then(|text| HEXLOWER.decode(text.as_bytes()).ok());
        let tweak: Option<[u8; 32]> = tweak.and_then(|bytes| bytes.try_into().ok());
        match wallet.descriptor(&key, tweak.as_ref()) {
            Ok(descriptor) => {
                spend.spend = Some(descriptor.to_string());
                revealed += 1;
            }
            // Keys change; what an earlier one received needs the earlier words.
            Err(error @ KeyError::OtherWords { .. }) => {
                spend.note = Some(error.to_string());
                refused = Some(error);
            }
            Err(error) => return Err(wrong(error)),
        }
    }
    match refused {
        Some(error) if revealed == 0 => Err(wrong(error)),
        _ => Ok(()),
    }
}
