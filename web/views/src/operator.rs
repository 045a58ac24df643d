//! The operator's dashboard: traffic, storage, promises, mirrors, and whether all is well.

use askama::Template;

use crate::amount;
use crate::chart::networks::NetworksChart;
use crate::chart::storage::StorageBar;
use crate::data::{
    AuditRow, Claim, Mirror, MirrorQuota, MirrorRule, MirrorStatus, Status, Torrent,
};
use crate::frame::Frame;
use crate::text::{short_id, visible};

/// From this share of a limit on, something is said.
const FULL_PERCENT: u64 = 90;
/// Audits on the page.
const AUDITS: usize = 20;
/// Free space on the disk below which something is said.
const DISK_LOW_BYTES: u64 = 1 << 30;

/// The dashboard.
#[derive(Debug, Template)]
#[template(path = "operator.html")]
pub struct OperatorPage<'a> {
    /// Frame.
    pub frame: &'a Frame,
    /// State.
    pub status: &'a Status,
    /// What is kept for others, or why that can't be told.
    pub mirror: Option<&'a MirrorStatus>,
    /// Why not.
    pub mirror_problem: &'a str,
    /// Torrents.
    pub torrents: &'a [Torrent],
    /// Audits, the newest first.
    pub audits: &'a [AuditRow],
}

/// One thing to know, and how bad it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// `ok`, `warn` or `bad`.
    pub class: &'static str,
    /// A sentence.
    pub text: String,
}

impl OperatorPage<'_> {
    fn networks(&self) -> NetworksChart<'_> {
        NetworksChart::new(&self.status.traffic, self.status.caps)
    }

    fn quota(&self) -> MirrorQuota {
        match self.mirror {
            Some(mirror) => mirror.quota,
            None => MirrorQuota {
                used_bytes: self.status.used_bytes,
                max_bytes: self.status.max_bytes,
                disk_free_bytes: u64::MAX,
                ..MirrorQuota::default()
            },
        }
    }

    fn storage<'a>(&self, quota: &'a MirrorQuota) -> StorageBar<'a> {
        StorageBar::new(quota)
    }

    fn percent(&self) -> u64 {
        let quota = self.quota();
        amount::percent(quota.used_bytes, quota.max_bytes)
    }

    fn nearly_full(&self) -> bool {
        self.percent() >= FULL_PERCENT
    }

    fn month_percent(&self) -> u64 {
        let caps = &self.status.caps;
        amount::percent(caps.month_bytes, caps.max_month_bytes)
    }

    fn caps_words(&self) -> String {
        let caps = &self.status.caps;
        let cap = |what: &str, rate: u64| match rate {
            0 => format!("{what}: no cap"),
            rate => format!("{what}: at most {}/s", amount::bytes(rate)),
        };
        format!(
            "{} · {}.",
            cap("Sent", caps.max_out_bytes_per_s),
            cap("received", caps.max_in_bytes_per_s)
        )
    }

    fn mirrors(&self) -> &[Mirror] {
        self.mirror.map_or(&[], |mirror| &mirror.mirrors)
    }

    fn no_mirror(&self) -> String {
        visible(self.mirror_problem).into_owned()
    }

    fn audits_shown(&self) -> &[AuditRow] {
        self.audits.get(..AUDITS).unwrap_or(self.audits)
    }

    /// What is well and what isn't, the worst first.
    #[must_use]
    pub fn health(&self) -> Vec<Health> {
        let mut found = Vec::new();
        self.connections(&mut found);
        self.promises(&mut found);
        self.room(&mut found);
        self.month(&mut found);
        self.challenges(&mut found);
        self.claims(&mut found);
        let warnings = self.status.warnings.iter();
        let problems = self.mirror.map_or(&[][..], |mirror| &mirror.problems);
        let said = warnings.chain(problems);
        found.extend(said.map(|text| say("warn", visible(text).into_owned())));
        let rank = |health: &Health| {
            ["bad", "warn", "ok"]
                .iter()
                .position(|c| *c == health.class)
        };
        found.sort_by_key(rank);
        found
    }

    fn connections(&self, found: &mut Vec<Health>) {
        let peers = self.status.connected;
        found.push(match (self.status.offline, peers) {
            (true, _) => say("ok", "Offline: nothing leaves this machine.".to_owned()),
            (false, 0) => say("warn", "No other node is connected.".to_owned()),
            (false, n) => say(
                "ok",
                format!("{} connected.", amount::count(n, "node", "nodes")),
            ),
        });
    }

    fn promises(&self, found: &mut Vec<Health>) {
        let Some(mirror) = self.mirror else { return };
        let files = amount::count(mirror.promised, "promised file", "promised files");
        found.push(match (mirror.promised, mirror.missing) {
            (0, _) => say("ok", "Nothing was promised to anybody.".to_owned()),
            (_, 0) => say(
                "ok",
                format!(
                    "All {files} are here: {}.",
                    amount::bytes(mirror.held_bytes)
                ),
            ),
            (_, missing) => say(
                "warn",
                format!(
                    "{missing} of {files} are not here: {} missing.",
                    amount::bytes(mirror.missing_bytes)
                ),
            ),
        });
    }

    fn room(&self, found: &mut Vec<Health>) {
        let quota = self.quota();
        let percent = self.percent();
        if quota.disk_free_bytes < DISK_LOW_BYTES {
            let free = amount::bytes(quota.disk_free_bytes);
            found.push(say("bad", format!("The disk is nearly full: {free} free.")));
        }
        let class = if self.nearly_full() { "warn" } else { "ok" };
        found.push(say(class, format!("{percent} % of the quota used.")));
    }

    fn month(&self, found: &mut Vec<Health>) {
        let caps = &self.status.caps;
        if caps.max_month_bytes == 0 {
            return;
        }
        let percent = self.month_percent();
        let class = match percent {
            100.. => "bad",
            FULL_PERCENT.. => "warn",
            _ => "ok",
        };
        let text = match percent {
            100.. => "This month's traffic is used up: nothing more is sent to others.".to_owned(),
            _ => format!("{percent} % of this month's traffic used."),
        };
        found.push(say(class, text));
    }

    fn challenges(&self, found: &mut Vec<Health>) {
        let sum = |of: fn(&AuditRow) -> u64| {
            let rows = self.audits_shown().iter().map(of);
            rows.fold(0, u64::saturating_add)
        };
        let (asked, answered, wrong) = (
            sum(|row| row.asked),
            sum(|row| row.answered),
            sum(|row| row.wrong),
        );
        if asked == 0 {
            return;
        }
        let within = self
            .audits_shown()
            .iter()
            .filter_map(|row| row.within_ms)
            .max();
        let within = within
            .map(|ms| format!(" within {ms} ms"))
            .unwrap_or_default();
        let mut text = format!("Mirrors answered {answered} of {asked} challenges{within}");
        if wrong > 0 {
            text.push_str(&format!(", {wrong} with wrong bytes"));
        }
        text.push('.');
        let class = match (wrong, answered == asked) {
            (1.., _) => "bad",
            (0, false) => "warn",
            (0, true) => "ok",
        };
        found.push(say(class, text));
    }

    fn claims(&self, found: &mut Vec<Health>) {
        let live = self
            .torrents
            .iter()
            .filter(|torrent| torrent.is_live)
            .count();
        if !self.torrents.is_empty() {
            let all = amount::count(self.torrents.len() as u64, "torrent", "torrents");
            found.push(say("ok", format!("{all}, {live} in the session.")));
        }
        let lies = self
            .torrents
            .iter()
            .filter(|torrent| torrent.claim == Claim::False)
            .count();
        if lies > 0 {
            let claims = match lies {
                1 => "An author's infohash is not that of its file.".to_owned(),
                lies => format!("{lies} infohashes of authors are not those of their files."),
            };
            found.push(say("warn", claims));
        }
    }
}

fn say(class: &'static str, text: String) -> Health {
    Health { class, text }
}

impl MirrorRule {
    /// What matches, as it is shown.
    #[must_use]
    pub fn shown(&self) -> String {
        match self.what.as_str() {
            "popular" => "What is popular".to_owned(),
            "all" => "Everything".to_owned(),
            id => short_id(id),
        }
    }

    /// Page about what matches, where it is one thing.
    #[must_use]
    pub fn path(&self) -> Option<String> {
        let is_id = !["popular", "all"].contains(&self.what.as_str());
        is_id.then(|| format!("/e/{}", self.what))
    }

    /// Its conditions: `score 5 and more · within 30d · 3 replicas`.
    #[must_use]
    pub fn conditions(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(
            self.min_score
                .map(|score| format!("score {score} and more")),
        );
        parts.extend(
            self.max_age
                .as_ref()
                .map(|age| format!("within {}", visible(age))),
        );
        if self.replicas > 0 {
            parts.push(amount::count(
                u64::from(self.replicas),
                "replica",
                "replicas",
            ));
        }
        parts.join(" · ")
    }
}

impl Mirror {
    /// Share of challenges answered.
    #[must_use]
    pub fn percent(&self) -> u64 {
        amount::percent(self.answered, self.asked)
    }
}
