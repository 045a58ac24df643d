//! Why something can't be done in swarms.

use std::{error::Error, io, net::SocketAddr, path::PathBuf, time::Duration};

use thiserror::Error as ThisError;

use crate::{InfoHash, MetainfoFault};

/// What the engine below says.
pub(super) type Cause = Box<dyn Error + Send + Sync>;

/// Why something can't be done in swarms.
#[derive(Debug, ThisError)]
pub enum SwarmError {
    /// A file or folder can't be used. A fault of this machine.
    #[error("{} can't be used", path.display())]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The session can't be started: the port is taken, or a switch that is on can't be served.
    #[error("can't take part in swarms at {listen}")]
    Start {
        /// Where peers were to be heard.
        listen: SocketAddr,
        /// What the engine says.
        #[source]
        source: Cause,
    },
    /// Neither TCP nor uTP is switched on. A fault of the settings.
    #[error("swarms need TCP or uTP, and both are switched off")]
    NoTransport,
    /// A tracker's URL is none. A fault of the settings.
    #[error("no URL of a tracker: {url}")]
    Tracker {
        /// What was given.
        url: String,
    },
    /// The torrent isn't offered.
    #[error("torrent {infohash} isn't offered")]
    NotOffered {
        /// The torrent.
        infohash: InfoHash,
    },
    /// The torrent is seeded or being downloaded already.
    #[error("torrent {infohash} is seeded or being downloaded already")]
    Taken {
        /// The torrent.
        infohash: InfoHash,
    },
    /// The torrent can't be taken into the session.
    #[error("torrent {infohash} can't be taken in")]
    Enter {
        /// The torrent.
        infohash: InfoHash,
        /// What the engine says.
        #[source]
        source: Cause,
    },
    /// A seed can't be served: files are missing, or have changed.
    #[error("torrent {infohash} was withdrawn: its files are not what they were")]
    Withdrawn {
        /// The torrent.
        infohash: InfoHash,
    },
    /// Peers gave a description that can't be used. A fault of whoever made the torrent.
    #[error("torrent {infohash} has a description that can't be used")]
    Description {
        /// The torrent.
        infohash: InfoHash,
        /// What is wrong with it.
        #[source]
        source: MetainfoFault,
    },
    /// Peers gave a description that the engine can't use. A fault of whoever made the torrent.
    #[error("torrent {infohash} has a description that can't be used")]
    Unusable {
        /// The torrent.
        infohash: InfoHash,
        /// What the engine says.
        #[source]
        source: Cause,
    },
    /// There is something else where the torrent's files would lie.
    #[error("{} is there already, and isn't what torrent {infohash} has", path.display())]
    Exists {
        /// The torrent.
        infohash: InfoHash,
        /// The file or folder.
        path: PathBuf,
    },
    /// There is no way to find peers: none given, and every switch off.
    #[error("torrent {infohash} has no peers, and no way to find any is switched on")]
    NoWay {
        /// The torrent.
        infohash: InfoHash,
    },
    /// No byte came for too long.
    #[error("torrent {infohash} stalled: nothing new for {} s", after.as_secs())]
    Stalled {
        /// The torrent.
        infohash: InfoHash,
        /// How long.
        after: Duration,
    },
    /// The download broke off: the disk is full, or files can't be written.
    #[error("torrent {infohash} can't be downloaded")]
    Download {
        /// The torrent.
        infohash: InfoHash,
        /// What the engine says.
        #[source]
        source: Cause,
    },
    /// Swarms were stopped meanwhile.
    #[error("swarms were stopped")]
    Stopped,
}
