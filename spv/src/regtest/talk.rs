//! The wire protocol on one connection.

use std::{
    io::BufReader,
    net::{Shutdown, TcpStream},
    sync::{Arc, Mutex, PoisonError},
};

use bitcoin::{
    consensus::{Decodable, encode, serialize},
    io::FromStd,
    p2p::{
        Address, Magic, ServiceFlags,
        message::{NetworkMessage, RawNetworkMessage},
        message_network::VersionMessage,
    },
};

/// What a mock peer calls itself.
const USER_AGENT: &str = "/datt-mock:0.1.0/";
/// Version of the protocol that it speaks (`sendheaders` is part of it, BIP130).
const VERSION: u32 = 70_016;

/// The half that writes. Clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct Speaker(Arc<Mutex<TcpStream>>);

/// The half that reads.
pub(super) struct Listener(FromStd<BufReader<TcpStream>>);

/// Splits a connection.
pub(super) fn halves(stream: TcpStream) -> std::io::Result<(Speaker, Listener)> {
    stream.set_nodelay(true)?;
    let reading = BufReader::new(stream.try_clone()?);
    let speaker = Speaker(Arc::new(Mutex::new(stream)));
    Ok((speaker, Listener(FromStd::new(reading))))
}

impl Listener {
    /// The next message, bounded by what the `bitcoin` crate decodes.
    pub(super) fn hear(&mut self) -> Result<NetworkMessage, encode::Error> {
        let raw = RawNetworkMessage::consensus_decode(&mut self.0)?;
        Ok(raw.into_payload())
    }
}

impl Speaker {
    pub(super) fn say(&self, message: NetworkMessage) -> std::io::Result<()> {
        self.send(&serialize(&RawNetworkMessage::new(Magic::REGTEST, message)))
    }

    /// Sends bytes as they are.
    pub(super) fn send(&self, bytes: &[u8]) -> std::io::Result<()> {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::io::Write::write_all(&mut *stream, bytes)
    }

    pub(super) fn hang_up(&self) {
        let stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // It may be closed already.
        stream.shutdown(Shutdown::Both).ok();
    }
}

/// What a peer says first, with the height that it claims.
pub(super) fn version(theirs: &VersionMessage, nonce: u64, claimed_height: u32) -> NetworkMessage {
    let services = ServiceFlags::NETWORK | ServiceFlags::WITNESS;
    let nowhere = Address::new(&([127, 0, 0, 1], 0).into(), services);
    NetworkMessage::Version(VersionMessage {
        version: VERSION,
        services,
        timestamp: theirs.timestamp,
        receiver: nowhere.clone(),
        sender: nowhere,
        nonce,
        user_agent: USER_AGENT.to_owned(),
        start_height: i32::try_from(claimed_height).unwrap_or(i32::MAX),
        relay: true,
    })
}
