//! The pages, filled in and checked when the program is compiled (askama);
//! whatever is put into them is escaped.

use askama::Template;

/// `GET /login`.
#[derive(Template)]
#[template(path = "login.html")]
pub(super) struct LoginPage {
    /// The token was tried and is not the one.
    pub(super) wrong: bool,
}
