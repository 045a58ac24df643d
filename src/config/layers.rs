//! Where values come from: defaults, then the file, then the environment, then flags.

use std::{
    collections::BTreeMap,
    env, fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::Args;
use etcetera::BaseStrategy;
use model::Ticket;
use serde::Deserialize;
use thiserror::Error;
use toml::{Table, Value};

use super::{Backend, Config};
use crate::mirror;
use crate::throttle::{ActiveHours, LEAST_RATE_BYTES};

const FILE: &str = "config.toml";
const DATA_VARIABLE: &str = "DATT_DATA";
const CONFIG_VARIABLE: &str = "DATT_CONFIG";

/// How a value is written in an environment variable.
#[derive(Clone, Copy, Debug)]
enum Form {
    Text,
    Number,
    Switch,
    /// Comma-separated.
    List,
}

/// Every value that the environment can set; `http.listen` is `DATT_HTTP_LISTEN`.
const SETTINGS: [(&str, Form); 65] = [
    ("store", Form::Text),
    ("offline", Form::Switch),
    ("peers", Form::List),
    ("log", Form::Text),
    ("http.listen", Form::Text),
    ("http.public_url", Form::Text),
    ("http.hosts", Form::List),
    ("http.trusted_proxies", Form::List),
    ("http.max_upload_bytes", Form::Text),
    ("http.tls_cert", Form::Text),
    ("http.tls_key", Form::Text),
    ("http.subdomain_hosts", Form::List),
    ("public_gateway.fetch", Form::Switch),
    ("public_gateway.uploads", Form::Switch),
    ("storage.max_bytes", Form::Text),
    ("auto_fetch.max_bytes", Form::Text),
    ("budgets.author_bytes", Form::Text),
    ("budgets.board_bytes", Form::Text),
    ("budgets.pending_bytes", Form::Text),
    ("gossip.max_topics", Form::Number),
    ("network.udp_port", Form::Number),
    ("network.mdns", Form::Switch),
    ("relay.enabled", Form::Switch),
    ("relay.token", Form::Text),
    ("media.ffmpeg", Form::Text),
    ("media.ffprobe", Form::Text),
    ("media.timeout_s", Form::Number),
    ("media.children", Form::Number),
    ("media.thumb_pixels", Form::Number),
    ("ipfs.gateways", Form::List),
    ("ipfs.denylists", Form::List),
    ("torrent.enabled", Form::Switch),
    ("torrent.port", Form::Number),
    ("torrent.tcp", Form::Switch),
    ("torrent.utp", Form::Switch),
    ("torrent.min_bytes", Form::Text),
    ("torrent.dht", Form::Switch),
    ("torrent.dht_nodes", Form::List),
    ("torrent.lsd", Form::Switch),
    ("torrent.pex", Form::Switch),
    ("torrent.trackers", Form::List),
    ("torrent.foreign_trackers", Form::Switch),
    ("torrent.publicity", Form::Text),
    ("torrent.swarm_after_holders", Form::Number),
    ("torrent.max_live", Form::Number),
    ("torrent.max_peers", Form::Number),
    ("torrent.max_upload_bytes_per_s", Form::Text),
    ("torrent.max_download_bytes_per_s", Form::Text),
    ("torrent.torrent_upload_bytes_per_s", Form::Text),
    ("torrent.torrent_download_bytes_per_s", Form::Text),
    ("torrent.active_hours", Form::Text),
    ("traffic.max_out_bytes_per_s", Form::Text),
    ("traffic.max_in_bytes_per_s", Form::Text),
    ("traffic.max_month_bytes", Form::Text),
    ("pin_requests.accept", Form::Text),
    ("pin_requests.requester_bytes", Form::Text),
    ("pin_requests.total_bytes", Form::Text),
    ("pin_requests.item_bytes", Form::Text),
    ("audit.every_s", Form::Number),
    ("audit.deadline_ms", Form::Number),
    ("payments.network", Form::Text),
    ("payments.peers", Form::List),
    ("payments.settled_confirmations", Form::Number),
    ("payments.publish_confirmations", Form::Number),
    ("payments.block_bytes_per_day", Form::Text),
];

/// What the command line may set. Flags of the data folder hold for every command, the others
/// for `up`.
#[derive(Clone, Debug, Default, Args)]
pub struct Flags {
    /// Data folder (else DATT_DATA, else the platform's data folder)
    #[arg(long, value_name = "DIR", global = true)]
    pub data: Option<PathBuf>,
    /// Configuration file (else DATT_CONFIG, else config.toml in the data folder)
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// What `up` sets besides.
    #[arg(skip)]
    pub up: UpFlags,
}

/// Flags of `up`.
#[derive(Clone, Debug, Default, Args)]
pub struct UpFlags {
    /// Address of the web server; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS")]
    pub http: Option<SocketAddr>,
    /// Connect to this node, besides those of the configuration; may be given several times
    #[arg(long = "peer", value_name = "TICKET")]
    pub peers: Vec<Ticket>,
    /// Loopback only: nothing leaves the machine
    #[arg(long)]
    pub offline: bool,
    /// URL under which the world reaches this node
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// Speak TLS with a certificate of this node's own making, kept in the data folder
    #[arg(long)]
    pub tls_self_signed: bool,
    /// Where entries are stored: redb or sled
    #[arg(long, value_name = "STORE", value_parser = parse_backend)]
    pub store: Option<Backend>,
    /// What is logged: error, warn, info, debug, trace, or directives of tracing
    #[arg(long, value_name = "LEVEL")]
    pub log: Option<String>,
}

fn parse_backend(text: &str) -> Result<Backend, String> {
    match text {
        "redb" => Ok(Backend::Redb),
        "sled" => Ok(Backend::Sled),
        _ => Err("the stores are redb and sled".to_owned()),
    }
}

/// What is wrong with the configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("cannot read the configuration file {}: {source}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Unknown key, wrong type, bad value; the source names line and column.
    #[error("the configuration file {} is wrong: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// An environment variable with a bad value.
    #[error("the environment variable {name} is wrong: {reason}")]
    Environment {
        /// Which.
        name: String,
        /// Why.
        reason: String,
    },
    /// Values that each are fine and together are not, or don't mean anything.
    #[error("{key} is wrong: {reason}")]
    Value {
        /// Which.
        key: &'static str,
        /// Why, and what to write.
        reason: String,
    },
    /// No home folder, so no platform data folder.
    #[error(
        "this account has no home folder; say where the data lies with --data DIR or {DATA_VARIABLE}"
    )]
    NoHome,
}

/// The data folder: the flag, else `DATT_DATA`, else the platform's.
///
/// # Errors
/// When nothing says where it is and the account has no home folder.
pub fn data_folder(flags: &Flags) -> Result<PathBuf, ConfigError> {
    folder_from(flags, env::var_os(DATA_VARIABLE).map(PathBuf::from))
}

fn folder_from(flags: &Flags, variable: Option<PathBuf>) -> Result<PathBuf, ConfigError> {
    if let Some(path) = &flags.data {
        return Ok(path.clone());
    }
    if let Some(path) = variable.filter(|path| !path.as_os_str().is_empty()) {
        return Ok(path);
    }
    etcetera::base_strategy::choose_native_strategy()
        .map(|platform| platform.data_dir().join("datt"))
        .map_err(|_| ConfigError::NoHome)
}

impl Config {
    /// Reads the file and the environment, and applies the flags.
    ///
    /// # Errors
    /// When the file or a variable says something that isn't known or can't be.
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        let variables = env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with("DATT_"))
            .collect();
        Self::layered(flags, &variables)
    }

    fn layered(flags: &Flags, variables: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let data = folder_from(flags, variables.get(DATA_VARIABLE).map(PathBuf::from))?;
        let named = flags
            .config
            .clone()
            .or_else(|| variables.get(CONFIG_VARIABLE).map(PathBuf::from));
        let table = match &named {
            Some(path) => read(path)?,
            None => read_if_there(&data.join(FILE))?,
        };
        let mut config = with_environment(table, variables)?;
        config.data = data;
        config.apply(&flags.up);
        config.check()?;
        Ok(config)
    }

    fn apply(&mut self, flags: &UpFlags) {
        if let Some(listen) = flags.http {
            self.http.listen = listen;
        }
        if let Some(url) = &flags.public_url {
            self.http.public_url = Some(url.clone());
        }
        if let Some(store) = flags.store {
            self.store = store;
        }
        if let Some(log) = &flags.log {
            self.log.clone_from(log);
        }
        self.http.tls_self_signed |= flags.tls_self_signed;
        self.offline |= flags.offline;
        self.peers.extend(flags.peers.iter().cloned());
    }

    fn check(&self) -> Result<(), ConfigError> {
        let refuse = |key, reason: &str| {
            Err(ConfigError::Value {
                key,
                reason: reason.to_owned(),
            })
        };
        if self
            .http
            .public_url
            .as_ref()
            .is_some_and(|url| !is_origin(url))
        {
            return refuse(
                "http.public_url",
                "write scheme and host without a path, as in https://forum.example",
            );
        }
        if self.http.tls_cert.is_some() != self.http.tls_key.is_some() {
            return refuse(
                "http.tls_cert",
                "a certificate and its key belong together: set http.tls_cert and http.tls_key",
            );
        }
        if self.http.tls_cert.is_some() && self.http.tls_self_signed {
            return refuse(
                "--tls-self-signed",
                "the configuration names a certificate (http.tls_cert); leave one of them out",
            );
        }
        if !self.ipfs.gateways.iter().all(|url| is_origin(url)) {
            return refuse(
                "ipfs.gateways",
                "write scheme and host of each without a path, as in https://gateway.example",
            );
        }
        if self.offline && !self.http.listen.ip().is_loopback() {
            return refuse(
                "http.listen",
                "offline means loopback only: listen on 127.0.0.1, or leave out offline",
            );
        }
        if self.gossip.max_topics == 0 {
            return refuse("gossip.max_topics", "at least 1");
        }
        if let Err(error) = mirror::rules::read(&self.mirror) {
            return refuse("mirror", &error.to_string());
        }
        if self.audit.deadline_ms == 0 {
            return refuse("audit.deadline_ms", "at least 1");
        }
        if self.torrent.max_live == 0 || self.torrent.max_peers == 0 {
            return refuse("torrent", "max_live and max_peers are at least 1");
        }
        self.check_traffic()?;
        self.check_payments()?;
        if !self.torrent.tcp && !self.torrent.utp {
            return refuse(
                "torrent.tcp",
                "leave one of tcp and utp on, or switch torrent.enabled off",
            );
        }
        if self.media.children == 0 || self.media.timeout_s == 0 {
            return refuse("media", "children and timeout_s are at least 1");
        }
        if !(16..=4096).contains(&self.media.thumb_pixels) {
            return refuse("media.thumb_pixels", "16 to 4096");
        }
        Ok(())
    }

    fn check_payments(&self) -> Result<(), ConfigError> {
        let payments = &self.payments;
        let depths = [
            (
                "payments.settled_confirmations",
                payments.settled_confirmations,
            ),
            (
                "payments.publish_confirmations",
                payments.publish_confirmations,
            ),
        ];
        for (key, depth) in depths {
            if depth == 0 {
                let reason = "at least 1: that is the block which the payment stands in".to_owned();
                return Err(ConfigError::Value { key, reason });
            }
        }
        Ok(())
    }

    fn check_traffic(&self) -> Result<(), ConfigError> {
        let (traffic, torrent) = (&self.traffic, &self.torrent);
        let rates = [
            ("traffic.max_out_bytes_per_s", traffic.max_out_bytes_per_s),
            ("traffic.max_in_bytes_per_s", traffic.max_in_bytes_per_s),
            (
                "torrent.max_upload_bytes_per_s",
                torrent.max_upload_bytes_per_s,
            ),
            (
                "torrent.max_download_bytes_per_s",
                torrent.max_download_bytes_per_s,
            ),
            (
                "torrent.torrent_upload_bytes_per_s",
                torrent.torrent_upload_bytes_per_s,
            ),
            (
                "torrent.torrent_download_bytes_per_s",
                torrent.torrent_download_bytes_per_s,
            ),
        ];
        for (key, rate) in rates {
            if (1..LEAST_RATE_BYTES).contains(&rate) {
                let reason = format!("at least {LEAST_RATE_BYTES} bytes a second, or 0 for no cap");
                return Err(ConfigError::Value { key, reason });
            }
        }
        if let Some(hours) = &torrent.active_hours
            && let Err(error) = hours.parse::<ActiveHours>()
        {
            return Err(ConfigError::Value {
                key: "torrent.active_hours",
                reason: error.to_string(),
            });
        }
        Ok(())
    }
}

/// An `http` or `https` URL of a host, without a path.
fn is_origin(url: &str) -> bool {
    url.parse::<http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.authority().is_some()
            && matches!(uri.path(), "" | "/")
            && uri.query().is_none()
    })
}

fn read(path: &Path) -> Result<Table, ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    let wrong = |source: toml::de::Error| ConfigError::File {
        path: path.to_owned(),
        source: Box::new(source),
    };
    // Read as configuration first: from text, errors name line and column.
    toml::from_str::<Config>(&text).map_err(wrong)?;
    toml::from_str(&text).map_err(wrong)
}

fn read_if_there(path: &Path) -> Result<Table, ConfigError> {
    match read(path) {
        Err(ConfigError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(Table::new())
        }
        other => other,
    }
}

fn with_environment(
    mut table: Table,
    variables: &BTreeMap<String, String>,
) -> Result<Config, ConfigError> {
    for (key, form) in SETTINGS {
        let name = variable_of(key);
        let Some(text) = variables.get(&name) else {
            continue;
        };
        let wrong = |reason: String| ConfigError::Environment {
            name: name.clone(),
            reason,
        };
        let value = form.read(text).map_err(|reason| wrong(reason.to_owned()))?;
        let (section, last) = match key.split_once('.') {
            Some((section, last)) => {
                let section = table
                    .entry(section)
                    .or_insert_with(|| Value::Table(Table::new()));
                (section.as_table_mut(), last)
            }
            None => (Some(&mut table), key),
        };
        section
            .expect("the file was read as a configuration, so sections are tables")
            .insert(last.to_owned(), value);
        Config::deserialize(table.clone()).map_err(|error| wrong(error.message().to_owned()))?;
    }
    Ok(Config::deserialize(table).expect("the file and each variable were read before"))
}

fn variable_of(key: &str) -> String {
    format!("DATT_{}", key.replace('.', "_").to_ascii_uppercase())
}

impl Form {
    fn read(self, text: &str) -> Result<Value, &'static str> {
        match self {
            Self::Text => Ok(Value::String(text.to_owned())),
            Self::Number => text
                .trim()
                .parse()
                .map(Value::Integer)
                .map_err(|_| "it takes a whole number"),
            Self::Switch => match text.trim() {
                "true" | "1" | "yes" | "on" => Ok(Value::Boolean(true)),
                "false" | "0" | "no" | "off" => Ok(Value::Boolean(false)),
                _ => Err("it takes true or false"),
            },
            Self::List => Ok(Value::Array(
                text.split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty())
                    .map(|item| Value::String(item.to_owned()))
                    .collect(),
            )),
        }
    }
}

#[cfg(test)]
mod tests;
