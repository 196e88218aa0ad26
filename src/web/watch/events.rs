//! `GET /events`: the state of a run as server-sent events.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::Response;

use crate::web::answer::Refused;
use crate::web::app::App;
use crate::web::telling::{Tell, line_of, tell};

/// `GET /events`.
pub(in crate::web) async fn events(State(app): State<Arc<App>>) -> Response<Body> {
    let listeners = Arc::clone(&app.watch.listeners);
    tell(Teller(app), &listeners).await
}

/// Tells the state of the run.
struct Teller(Arc<App>);

impl Tell for Teller {
    async fn state(&self) -> Result<String, Refused> {
        let state = self.0.watch.state(&self.0.jobs).await?;
        line_of(&state)
    }
}
