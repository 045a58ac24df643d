//! Debian's chromium, driven by chromedriver, with or without JavaScript.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use fantoccini::elements::Element;
use fantoccini::{ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::Client;

/// How long a page may take to show something on a busy machine.
const SHOWN: Duration = Duration::from_secs(60);
/// Pause between two looks at a page.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What chromium is told: no window, nothing of its own over the network.
const FLAGS: [&str; 14] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
    "--window-size=1280,900",
];

/// A browser with a profile of its own; closed when dropped.
#[derive(Debug)]
pub struct Browser {
    client: fantoccini::Client,
    driver: Driver,
    _profile: TempDir,
}

/// A running chromedriver, with the browsers it started.
#[derive(Debug)]
struct Driver {
    child: Child,
    url: String,
}

impl Driver {
    fn start() -> Result<Self> {
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("chromedriver is missing; `cargo xtask test` installs it")?;
        let stdout = child.stdout.take().context("standard output is piped")?;
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                let url = format!("http://127.0.0.1:{}", port.trim_end_matches('.'));
                return Ok(Self { child, url });
            }
        }
        bail!("chromedriver didn't start")
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // the whole group: browsers don't end with their driver
        let group = format!("kill -KILL -{}", self.child.id());
        let _ = Command::new("sh").args(["-c", &group]).status();
        let _ = self.child.wait();
    }
}

impl Browser {
    /// Opens one that runs scripts.
    pub async fn open() -> Result<Self> {
        Self::with_preferences(json!({})).await
    }

    /// Opens one with JavaScript switched off, as a person does in its settings.
    pub async fn without_scripts() -> Result<Self> {
        Self::with_preferences(json!({"profile.managed_default_content_settings.javascript": 2}))
            .await
    }

    async fn with_preferences(preferences: Value) -> Result<Self> {
        let driver = Driver::start()?;
        let profile = TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?;
        let folder = format!("--user-data-dir={}", profile.path().display());
        let flags: Vec<&str> = FLAGS.into_iter().chain([folder.as_str()]).collect();
        let options = json!({"args": flags, "prefs": preferences});
        let mut capabilities = serde_json::Map::new();
        capabilities.insert("goog:chromeOptions".to_owned(), options);
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&driver.url)
            .await
            .context("starting chromium")?;
        Ok(Self {
            client,
            driver,
            _profile: profile,
        })
    }

    /// Goes to a page.
    pub async fn goto(&self, url: &str) -> Result<()> {
        self.client
            .goto(url)
            .await
            .with_context(|| format!("going to {url}"))
    }

    /// Where it is.
    pub async fn address(&self) -> Result<String> {
        Ok(self.client.current_url().await?.to_string())
    }

    /// The first such element, as soon as there is one.
    pub async fn find(&self, css: &str) -> Result<Element> {
        self.client
            .wait()
            .at_most(SHOWN)
            .for_element(Locator::Css(css))
            .await
            .with_context(|| format!("no {css} on the page"))
    }

    /// How many such elements there are now.
    pub async fn count(&self, css: &str) -> Result<usize> {
        Ok(self.client.find_all(Locator::Css(css)).await?.len())
    }

    /// Clicks the first such element.
    pub async fn click(&self, css: &str) -> Result<()> {
        self.find(css)
            .await?
            .click()
            .await
            .with_context(|| format!("clicking {css}"))
    }

    /// Types into the first such element; for file fields, the file's path.
    pub async fn type_into(&self, css: &str, text: &str) -> Result<()> {
        self.find(css)
            .await?
            .send_keys(text)
            .await
            .with_context(|| format!("typing into {css}"))
    }

    /// What the first such element shows.
    pub async fn text(&self, css: &str) -> Result<String> {
        Ok(self.find(css).await?.text().await?)
    }

    /// A property of the first such element, as a number. (fantoccini knows only texts.)
    pub async fn number(&self, css: &str, property: &str) -> Result<f64> {
        let id = self.find(css).await?.element_id();
        let path = format!(
            "{}/element/{}/property/{property}",
            self.session().await?,
            &*id
        );
        let answer = Client::new(&self.driver.url)?.get_json(&path)?;
        answer["value"]
            .as_f64()
            .with_context(|| format!("{property} of {css} is {answer}"))
    }

    /// Runs a script in the page.
    pub async fn run(&self, script: &str) -> Result<Value> {
        self.client
            .execute(script, Vec::new())
            .await
            .with_context(|| format!("running {script}"))
    }

    /// Looks until the answer is yes.
    pub async fn until(
        &self,
        what: &str,
        mut look: impl AsyncFnMut() -> Result<bool>,
    ) -> Result<()> {
        let deadline = Instant::now() + SHOWN;
        loop {
            let seen = look().await;
            if let Ok(true) = seen {
                return Ok(());
            }
            if Instant::now() > deadline {
                let address = self.address().await.unwrap_or_default();
                return match seen {
                    Err(error) => Err(error.context(format!("never: {what}, on {address}"))),
                    Ok(_) => bail!("never: {what}, on {address}"),
                };
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Sets the size of the page and whether it prefers dark colours.
    pub async fn look(&self, width: u32, dark: bool) -> Result<()> {
        let metrics =
            json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600});
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics)
            .await?;
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", &media).await?;
        Ok(())
    }

    /// Waits until what moves by itself has come to rest, and films show their first picture.
    pub async fn settle(&self) -> Result<()> {
        let script = "document.getAnimations().forEach((one) => one.finish()); \
            return [...document.querySelectorAll('video')].every((film) => film.readyState > 1) \
            && [...document.images].every((one) => one.complete)";
        self.until("pictures are there", async || {
            Ok(self.run(script).await? == true)
        })
        .await
    }

    /// Leaves a picture of the whole page in `target/screenshots`.
    pub async fn picture(&self, name: &str) -> Result<PathBuf> {
        let metrics = self.devtools("Page.getLayoutMetrics", &json!({})).await?;
        let mut clip = metrics["cssContentSize"].clone();
        clip["scale"] = json!(1);
        let parameters = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let shot = self.devtools("Page.captureScreenshot", &parameters).await?;
        let data = shot["data"].as_str().context("no picture")?;
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../screenshots");
        fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{name}.png"));
        fs::write(&path, data_encoding::BASE64.decode(data.as_bytes())?)?;
        Ok(path)
    }

    /// A command of chromium's own protocol, through the driver.
    async fn devtools(&self, method: &str, parameters: &Value) -> Result<Value> {
        let path = format!("{}/goog/cdp/execute", self.session().await?);
        let answer = Client::new(&self.driver.url)?
            .send_json("POST", &path, &json!({"cmd": method, "params": parameters}))
            .with_context(|| method.to_owned())?;
        Ok(answer["value"].clone())
    }

    /// Path of the session at the driver.
    async fn session(&self) -> Result<String> {
        let id = self
            .client
            .session_id()
            .await?
            .context("the browser has a session")?;
        Ok(format!("/session/{id}"))
    }
}
