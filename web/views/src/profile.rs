//! An identity's page.

use askama::Template;

use crate::data::{Post, Profile};
use crate::frame::Frame;
use crate::markdown::{Markup, render};
use crate::text::query_value;

/// A person or group: name, about, devices, posts.
#[derive(Debug, Template)]
#[template(path = "profile.html")]
pub struct ProfilePage<'a> {
    /// Frame.
    pub frame: &'a Frame,
    /// Profile.
    pub profile: &'a Profile,
}

impl ProfilePage<'_> {
    fn about(&self) -> Markup {
        render(&self.profile.about)
    }

    fn posts(&self) -> &[Post] {
        &self.profile.posts.items
    }

    fn next(&self) -> Option<String> {
        let next = self.profile.posts.next.as_deref()?;
        Some(format!(
            "/@{}?after={}",
            self.profile.author.identity,
            query_value(next)
        ))
    }
}
