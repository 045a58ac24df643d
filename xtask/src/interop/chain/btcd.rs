//! btcd as a process: a private chain on loopback, with no peers but those that call it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::http::Client;
use crate::interop::stage::arg;
use crate::node::eventually;

/// How long it may take until it listens.
const READY: Duration = Duration::from_secs(30);
/// How long it may take to stop.
const STOPPED: Duration = Duration::from_secs(10);
/// User and password of its RPC, and both as HTTP wants them; nobody reaches it but this machine.
const USER: &str = "interop";
const AUTHORIZATION: &str = "Basic aW50ZXJvcDppbnRlcm9w";
/// Where blocks that it makes itself pay to: an address whose key nobody has.
const MINING_ADDRESS: &str = "bcrt1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqdku202";

/// A running one; killed when dropped.
#[derive(Debug)]
pub struct Btcd {
    binary: PathBuf,
    folder: PathBuf,
    child: Child,
    rpc: Client,
    /// Where nodes of the network reach it, `address:port`.
    pub address: String,
}

impl Btcd {
    /// Starts one in a folder, on free ports.
    ///
    /// # Errors
    /// When it ends or stays silent instead, with what it wrote.
    pub fn start(binary: &Path, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        Self::listen(binary, folder, "127.0.0.1:0")
    }

    /// Starts it again, once it is stopped, at the same address. It has no blocks then: it removes
    /// those of regtest whenever it starts.
    ///
    /// # Errors
    /// When it doesn't start.
    pub fn start_again(&mut self) -> Result<()> {
        *self = Self::listen(&self.binary, &self.folder, &self.address)?;
        Ok(())
    }

    fn listen(binary: &Path, folder: &Path, address: &str) -> Result<Self> {
        // an empty one of its own: without, it would read its user's
        let settings = folder.join("btcd.conf");
        File::create(&settings)?;
        let log = folder.join("btcd.log");
        let out = File::create(&log)?;
        let child = Command::new(binary)
            .args(["--regtest", "--notls", "--nodnsseed", "--nostalldetect"])
            .args(["--nobanning", "--utxocachemaxsize=16"])
            // transactions are told to peers at once, not every ten seconds
            .arg("--trickleinterval=100ms")
            .arg(format!("--miningaddr={MINING_ADDRESS}"))
            .arg(format!("--rpcuser={USER}"))
            .arg(format!("--rpcpass={USER}"))
            .arg("--rpclisten=127.0.0.1:0")
            .arg(format!("--listen={address}"))
            .arg(format!("--configfile={}", arg(&settings)?))
            .arg(format!("--datadir={}", arg(&folder.join("data"))?))
            .arg(format!("--logdir={}", arg(&folder.join("logs"))?))
            .env("HOME", folder)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("starting {}", binary.display()))?;
        let mut started = Self {
            binary: binary.to_path_buf(),
            folder: folder.to_path_buf(),
            child,
            rpc: Client::new("http://127.0.0.1")?,
            address: String::new(),
        };
        let (rpc, address) = eventually("btcd listens", READY, || started.look(&log))
            .with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
        started.rpc = Client::new(&format!("http://{rpc}"))?.with("authorization", AUTHORIZATION);
        started.address = address;
        Ok(started)
    }

    /// Where RPC and network listen, once its log says so.
    fn look(&mut self, log: &Path) -> Result<Option<(String, String)>> {
        if let Some(status) = self.child.try_wait()? {
            bail!("btcd ended with {status}");
        }
        let said = fs::read_to_string(log)?;
        let after = |words: &str| {
            let line = said.lines().find_map(|line| line.split_once(words));
            line.map(|(_, address)| address.trim().to_owned())
        };
        let rpc = after("RPCS: RPC server listening on ");
        Ok(rpc.zip(after("CMGR: Server listening on ")))
    }

    /// Stops it.
    ///
    /// # Errors
    /// When it doesn't stop in time.
    pub fn stop(&mut self) -> Result<()> {
        let status = Command::new("sh")
            .args(["-c", &format!("kill -TERM {}", self.child.id())])
            .status()?;
        ensure!(status.success(), "there is no btcd to stop");
        let deadline = Instant::now() + STOPPED;
        while self.child.try_wait()?.is_none() {
            ensure!(Instant::now() < deadline, "btcd doesn't stop");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Calls a method of its RPC.
    ///
    /// # Errors
    /// When it can't be reached, or says that something went wrong.
    pub fn call(&self, method: &str, params: &Value) -> Result<Value> {
        let body = json!({"jsonrpc": "1.0", "id": 1, "method": method, "params": params});
        let mut answer = self
            .rpc
            .send_json("POST", "/", &body)
            .with_context(|| format!("asking btcd to {method}"))?;
        ensure!(
            answer["error"].is_null(),
            "btcd refuses to {method}: {}",
            answer["error"]
        );
        Ok(answer["result"].take())
    }

    /// The answer of a method, as text.
    fn text(&self, method: &str, params: &Value) -> Result<String> {
        let answer = self.call(method, params)?;
        let text = answer.as_str().map(str::to_owned);
        text.with_context(|| format!("btcd answers {method} with {answer}"))
    }

    /// Hash of the last block of its best chain, in hex.
    pub fn best(&self) -> Result<String> {
        self.text("getbestblockhash", &json!([]))
    }

    /// How many blocks its best chain has after the first.
    pub fn height(&self) -> Result<u64> {
        let answer = self.call("getblockcount", &json!([]))?;
        let height = answer.as_u64();
        height.with_context(|| format!("btcd counts {answer} blocks"))
    }

    /// Gives it a block, in hex; also one of a branch that isn't the best. It says nothing of one
    /// whose parent it lacks.
    ///
    /// # Errors
    /// When it refuses the block, with its reason.
    pub fn submit(&self, block: &str) -> Result<()> {
        let answer = self.call("submitblock", &json!([block]))?;
        ensure!(answer.is_null(), "btcd doesn't take the block: {answer}");
        Ok(())
    }

    /// Gives it a transaction, in hex; its id.
    ///
    /// # Errors
    /// When it refuses the transaction, with its reason.
    pub fn send(&self, transaction: &str) -> Result<String> {
        self.text("sendrawtransaction", &json!([transaction]))
    }

    /// Whether a transaction waits to be mined.
    pub fn awaits(&self, txid: &str) -> Result<bool> {
        let waiting = self.call("getrawmempool", &json!([]))?;
        Ok(waiting
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one == txid)))
    }

    /// Has it make blocks itself, with what waits; their hashes.
    pub fn generate(&self, blocks: u32) -> Result<Vec<String>> {
        let answer = self.call("generate", &json!([blocks]))?;
        let hashes = answer.as_array().into_iter().flatten();
        Ok(hashes
            .filter_map(|hash| hash.as_str().map(str::to_owned))
            .collect())
    }

    /// A block of its own, in hex.
    pub fn block(&self, hash: &str) -> Result<String> {
        self.text("getblock", &json!([hash, 0]))
    }
}

impl Drop for Btcd {
    fn drop(&mut self) {
        // it may have ended by itself
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
