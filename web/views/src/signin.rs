//! How to sign in.

use askama::Template;

use crate::frame::Frame;

/// Explains sign-in; there is no password to type.
#[derive(Debug, Template)]
#[template(path = "signin.html")]
pub struct SignInPage<'a> {
    /// Frame.
    pub frame: &'a Frame,
}
