//! The payment key that the node's person publishes.

use std::sync::Arc;

use database::DatabaseError;
use gateway::{
    api::types::{NewPaymentKey, Written},
    node::NodeError,
};
use model::EntryId;
use spv::Network;

use super::{network, sign};
use crate::{
    core::Core,
    payments::{
        self,
        batch::read_address,
        facts::KeyRow,
        keys,
        published::{Published, keys_ever},
    },
    service::rows,
};

/// The own key for a chain, and when it was published.
///
/// # Errors
/// When the store can't be read.
pub async fn own_key(
    core: &Arc<Core>,
    network: Network,
) -> Result<Option<(EntryId, KeyRow, u64)>, NodeError> {
    let me = core.identity;
    core.store("read the payment key", move |database| {
        let reader = database.read()?;
        let Some((row, key)) = payments::current_key(&reader, &me, network)? else {
            return Ok(None);
        };
        let time_ms = reader.state(&row)?.map_or(0, |state| state.time_ms);
        Ok::<_, DatabaseError>(Some((row, key, time_ms)))
    })
    .await
}

/// Every own key that was ever published, for any chain: the newest first.
///
/// # Errors
/// When the store can't be read.
pub async fn own_keys(core: &Arc<Core>) -> Result<Vec<Published>, NodeError> {
    let me = core.identity;
    core.store("read the payment keys", move |database| {
        keys_ever(&database.read()?, &me)
    })
    .await
}

/// Publishes a key, or takes it back.
///
/// # Errors
/// When it is none, or the address is of another chain.
pub async fn publish_key(core: &Arc<Core>, new: NewPaymentKey) -> Result<Written, NodeError> {
    let chain = match &new.network {
        Some(name) => name
            .parse()
            .map_err(|error: spv::network::NoSuchNetwork| NodeError::Invalid(error.to_string()))?,
        None => network(&core.payments)?,
    };
    let key = match &new.key {
        Some(text) => keys::parse(text)
            .map_err(|error| NodeError::Invalid(error.to_string()))?
            .to_vec(),
        None if new.off => Vec::new(),
        None => {
            return Err(NodeError::Invalid(
                "say which key: an x-only or compressed public key in hexadecimal digits"
                    .to_owned(),
            ));
        }
    };
    if let Some(address) = &new.address {
        read_address(chain, address).map_err(|why| {
            NodeError::Invalid(format!("the address {address:?} is none on {chain}: {why}"))
        })?;
    }
    let row = rows::payment_key(chain.name(), &key, new.address.as_deref(), new.off);
    let space = core.identity.space();
    let id = sign::write(core, space, None, "payment_key", row).await?;
    Ok(Written { id: id.to_string() })
}
