//! The console of a run: its client, its session, its base path, and the outcomes of its writes.

use enroll_client::Client;

use crate::outcome::Outcomes;
use crate::secret;
use crate::session::Session;

/// The state that all requests share.
#[derive(Debug)]
pub(crate) struct Console {
    /// The client, which acts for the person of `--as`.
    pub(crate) client: Client,
    /// The first segment of every path, such as `/5f3a..`; it differs from run to run.
    pub(crate) base: String,
    /// The person on whose behalf it asks, as they were named.
    pub(crate) actor: Option<String>,
    /// True if it changes nothing.
    pub(crate) is_read_only: bool,
    /// The session.
    pub(crate) session: Session,
    /// The outcomes of the latest writes.
    pub(crate) outcomes: Outcomes,
}

impl Console {
    /// A console whose session nobody has opened yet.
    pub(crate) fn new(client: Client, actor: Option<String>, is_read_only: bool, session: Session) -> Self {
        Self {
            client,
            base: format!("/{}", secret::name()),
            actor,
            is_read_only,
            session,
            outcomes: Outcomes::default(),
        }
    }
}
