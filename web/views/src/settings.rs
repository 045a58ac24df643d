//! Settings of the signed-in person.

use askama::Template;

use crate::amount;
use crate::data::{ChainStatus, PaymentKey, Profile, Status};
use crate::frame::{Frame, Theme};

/// Profile, boards, sessions, storage.
#[derive(Debug, Template)]
#[template(path = "settings.html")]
pub struct SettingsPage<'a> {
    /// Frame.
    pub frame: &'a Frame,
    /// The person's own profile.
    pub profile: &'a Profile,
    /// State of the node, for the quota.
    pub status: &'a Status,
    /// The person's own payment key.
    pub key: Option<&'a PaymentKey>,
    /// The chain that payments are proved on.
    pub chain: &'a ChainStatus,
}

impl SettingsPage<'_> {
    fn themes(&self) -> [(Theme, &'static str); 3] {
        [
            (Theme::Auto, "As the system"),
            (Theme::Light, "Light"),
            (Theme::Dark, "Dark"),
        ]
    }

    fn is_theme(&self, theme: &Theme) -> bool {
        self.frame.theme == *theme
    }

    fn percent(&self) -> u64 {
        amount::percent(self.status.used_bytes, self.status.max_bytes)
    }
}
