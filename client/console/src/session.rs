//! The session: the one-time code that opens it, the cookie that names it, the token of its forms, and its end.
//!
//! A process has one session, which lives in its memory only. Names differ from run to run, so that two consoles of one
//! user do not end each other's session: a browser keeps cookies apart by host and path, never by port.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::secret::{self, Secret};

/// The session of this process.
#[derive(Debug)]
pub(crate) struct Session {
    cookie_name: String,
    cookie: Secret,
    token: Secret,
    /// `None` once it is spent.
    code: Mutex<Option<Secret>>,
    last_used: Mutex<Instant>,
    idle_max: Duration,
    ended: watch::Sender<bool>,
}

impl Session {
    /// A session that nobody has opened yet, and that ends after this time without use.
    pub(crate) fn new(idle_max: Duration) -> Self {
        Self {
            cookie_name: format!("enrolld-{}", secret::name()),
            cookie: Secret::draw(),
            token: Secret::draw(),
            code: Mutex::new(Some(Secret::draw())),
            last_used: Mutex::new(Instant::now()),
            idle_max,
            ended: watch::Sender::new(false),
        }
    }

    /// The code that opens it, while it is not spent.
    pub(crate) fn code(&self) -> Option<String> {
        lock(&self.code).as_ref().map(|code| code.text().to_owned())
    }

    /// Spends the code. True once, and for the right code.
    pub(crate) fn open(&self, code: &str) -> bool {
        let mut kept = lock(&self.code);
        let is_right = kept.as_ref().is_some_and(|kept| kept.is(code));
        if is_right {
            *kept = None;
            self.touch();
        }
        is_right
    }

    /// The `Set-Cookie` that gives it to a browser, for this path.
    pub(crate) fn set_cookie(&self, path: &str) -> String {
        format!("{}={}; Path={path}; HttpOnly; SameSite=Strict", self.cookie_name, self.cookie.text())
    }

    /// True if this `Cookie` header holds it.
    pub(crate) fn is_in(&self, cookies: &str) -> bool {
        let pairs = cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
        pairs.into_iter().any(|(name, value)| name == self.cookie_name && self.cookie.is(value))
    }

    /// The token that its forms carry.
    pub(crate) fn token(&self) -> &Secret {
        &self.token
    }

    /// Notes that it was used now.
    pub(crate) fn touch(&self) {
        *lock(&self.last_used) = Instant::now();
    }

    /// The time without use after which it ends.
    pub(crate) fn idle_max(&self) -> Duration {
        self.idle_max
    }

    /// Waits until nobody has used it for that time, and ends it.
    pub(crate) async fn idle(&self) {
        loop {
            let end = *lock(&self.last_used) + self.idle_max;
            if Instant::now() >= end {
                self.end();
                return;
            }
            tokio::time::sleep_until(end).await;
        }
    }

    /// Ends it for good.
    pub(crate) fn end(&self) {
        self.ended.send_replace(true);
    }

    /// True once it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// Waits for its end.
    pub(crate) async fn ended(&self) {
        // The sender lives as long as the session.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_a_minute() -> Session {
        Session::new(Duration::from_secs(60))
    }

    #[test]
    fn the_code_opens_it_once() {
        let session = of_a_minute();
        let code = session.code().expect("a code");
        assert!(!session.open("") && !session.open(&code[1..]) && session.open(&code));
        assert!(!session.open(&code));
        assert_eq!(session.code(), None);
    }

    #[test]
    fn a_cookie_is_known_among_others_and_only_whole() {
        let session = of_a_minute();
        let set = session.set_cookie("/x");
        let pair = set.split(';').next().expect("a pair");
        assert!(set.ends_with("; Path=/x; HttpOnly; SameSite=Strict"), "{set}");
        assert!(session.is_in(pair) && session.is_in(&format!("a=b; {pair}; c")));
        assert!(!session.is_in(&pair[..pair.len() - 1]) && !session.is_in("") && !of_a_minute().is_in(pair));
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_after_its_time_without_use() {
        let (session, begin) = (of_a_minute(), Instant::now());
        let using = async {
            tokio::time::sleep(Duration::from_secs(50)).await;
            session.touch();
        };
        tokio::join!(using, session.idle());
        assert!(session.has_ended());
        assert_eq!(begin.elapsed().as_secs(), 110);
        session.ended().await;
    }
}
