//! One subscription to a topic, renewed when it lags.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use iroh::EndpointId;
use iroh_gossip::{
    api::{Event, GossipReceiver, GossipSender},
    net::Gossip,
    proto::TopicId,
};
use model::EndpointKey;
use n0_future::StreamExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::shared::to_key;
use crate::node::Input;

/// Orders that wait for a topic.
pub(super) const ORDERS: usize = 256;
/// Before subscribing anew.
const AGAIN: Duration = Duration::from_millis(200);

/// What a topic's task is told.
#[derive(Debug)]
pub(super) enum Order {
    Broadcast(Bytes),
    Invite(Vec<EndpointKey>),
}

pub(super) fn to_ids(peers: &[EndpointKey]) -> Vec<EndpointId> {
    let parse = |peer: &EndpointKey| EndpointId::from_bytes(peer.as_bytes()).ok();
    peers.iter().filter_map(parse).collect()
}

/// Stays on a topic until told to leave.
pub(super) async fn run(
    gossip: Gossip,
    topic: [u8; 32],
    peers: Vec<EndpointKey>,
    mut orders: mpsc::Receiver<Order>,
    inputs: mpsc::Sender<Input>,
    leave: CancellationToken,
) {
    let mut peers = to_ids(&peers);
    while !leave.is_cancelled() {
        let subscribed = gossip.subscribe(TopicId::from_bytes(topic), peers.clone());
        if let Ok(subscription) = subscribed.await {
            let (sender, receiver) = subscription.split();
            let mut stay = Stay {
                topic,
                sender,
                receiver,
                inputs: &inputs,
                near: BTreeSet::new(),
            };
            let goes_on = tokio::select! {
                goes_on = stay.run(&mut orders) => goes_on,
                () = leave.cancelled() => false,
            };
            if !goes_on {
                return;
            }
            peers = stay.near.iter().copied().collect();
            stay.lose_all().await;
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = leave.cancelled() => return,
        }
    }
}

struct Stay<'a> {
    topic: [u8; 32],
    sender: GossipSender,
    receiver: GossipReceiver,
    inputs: &'a mpsc::Sender<Input>,
    near: BTreeSet<EndpointId>,
}

impl Stay<'_> {
    /// True when the subscription is lost and to be renewed.
    async fn run(&mut self, orders: &mut mpsc::Receiver<Order>) -> bool {
        loop {
            tokio::select! {
                order = orders.recv() => {
                    let sent = match order {
                        None => return false,
                        Some(Order::Broadcast(bytes)) => self.sender.broadcast(bytes).await,
                        Some(Order::Invite(peers)) => self.sender.join_peers(to_ids(&peers)).await,
                    };
                    if sent.is_err() {
                        return true;
                    }
                }
                event = self.receiver.next() => match event {
                    Some(Ok(Event::Lagged)) | Some(Err(_)) | None => return true,
                    Some(Ok(event)) => {
                        if self.pass(event).await.is_err() {
                            return false;
                        }
                    }
                },
            }
        }
    }

    async fn pass(&mut self, event: Event) -> Result<(), mpsc::error::SendError<Input>> {
        let topic = self.topic;
        let input = match event {
            Event::NeighborUp(id) => {
                self.near.insert(id);
                let peer = to_key(id);
                Input::Neighbor {
                    topic,
                    peer,
                    up: true,
                }
            }
            Event::NeighborDown(id) => {
                self.near.remove(&id);
                let peer = to_key(id);
                Input::Neighbor {
                    topic,
                    peer,
                    up: false,
                }
            }
            Event::Received(message) => Input::Received {
                topic,
                from: to_key(message.delivered_from),
                bytes: message.content.to_vec(),
            },
            Event::Lagged => Input::Lagged { topic },
        };
        self.inputs.send(input).await
    }

    /// The neighbours are gone with the subscription, and messages may be lost.
    async fn lose_all(self) {
        let topic = self.topic;
        for id in self.near {
            let peer = to_key(id);
            let _ = self
                .inputs
                .send(Input::Neighbor {
                    topic,
                    peer,
                    up: false,
                })
                .await;
        }
        let _ = self.inputs.send(Input::Lagged { topic }).await;
    }
}
