//! The session in a browser: a daemon that restarts under it, its end when nobody uses it, many tabs, two consoles.

use fantoccini::Locator;

use super::browser::{self, Browser, Desk};

#[tokio::test]
async fn a_daemon_that_restarts_is_told_of_and_found_again() {
    let Some((mut desk, browser)) = browser::begin("session restart", &[]).await else { return };
    desk.run(&["person", "create", "DOGGO01a"]);
    browser.goto("").await;
    browser.wait("the stream is open", "return document.querySelector('[data-live=pause]').hidden === false").await;
    desk.run(&["person", "create", "CAT02b"]);
    browser.wait_for_text("CAT02b").await;
    desk.daemon.kill9();
    browser.wait_for_text("The daemon is away").await;
    browser.shoot("today-away").await;
    browser.goto("/enrollments").await;
    let text = browser.text().await;
    assert!(text.contains("(unavailable)") && text.contains("Try again"), "{text}");
    browser.shoot("unavailable").await;
    browser.judge().await;
    desk.daemon.restart();
    browser.wait("it is found again", "return !document.querySelector('#live-state').innerText").await;
    browser.submit("main p a:last-of-type[href$='/enrollments']").await;
    browser.wait_for_text("No enrollment passes this filter").await;
    browser.goto("").await;
    desk.run(&["person", "create", "OWL04d"]);
    browser.wait_for_text("OWL04d").await;
}

#[tokio::test]
async fn a_session_that_nobody_uses_ends_and_says_so() {
    if !browser::is_installed("session idle") {
        return;
    }
    // It takes longer to start than the session lasts.
    let mut browser = Browser::start("session idle", "").await;
    let mut desk = Desk::start(&["--idle-minutes", "0.2"]);
    browser.enter(&desk).await;
    desk.run(&["enrollment", "create", "CAT02b"]);
    browser.goto("/enrollments").await;
    browser.wait_for_text("The session has ended").await;
    browser.judge().await;
    browser.shoot("ended").await;
    let can_send =
        browser.run("return [...document.querySelectorAll('form[method=post] button')].some(b => !b.disabled)").await;
    assert_eq!(can_send, false);
    assert_eq!(desk.ended(), Some(0));
}

/// Six event streams would be all the connections that a browser makes to one host.
#[tokio::test]
async fn many_tabs_share_one_stream_and_all_of_them_load() {
    let Some((desk, browser)) = browser::begin("session tabs", &[]).await else { return };
    let mut tabs = vec![browser.driver.window().await.expect("a tab")];
    for _ in 0..8 {
        let tab = browser.driver.new_window(true).await.expect("a tab").handle;
        browser.driver.switch_to_window(tab.clone()).await.expect("switched");
        browser.goto("").await;
        browser.wait_for_text("What happens now").await;
        tabs.push(tab);
    }
    desk.run(&["person", "create", "CAT02b"]);
    browser.wait_for_text("CAT02b").await;
    let streams = std::fs::read_to_string("/proc/net/tcp").expect("the connections");
    let port = desk.base().split([':', '/']).nth(4).and_then(|port| port.parse::<u16>().ok()).expect("a port");
    let ours = streams.lines().filter(|line| line.contains(&format!(" 0100007F:{port:04X} ")) && line.contains(" 01 "));
    assert!(ours.count() <= 14, "both ends of at most seven connections:\n{streams}");
    // A tab that was hidden meanwhile shows what it missed, or that there is something newer.
    browser.driver.switch_to_window(tabs.remove(1)).await.expect("switched");
    browser
        .wait(
            "the other tab knows",
            "return document.body.innerText.includes('CAT02b') || !document.querySelector('[data-live=show]').hidden",
        )
        .await;
}

#[tokio::test]
async fn two_consoles_in_one_browser_keep_their_sessions() {
    let Some((desk, browser)) = browser::begin("session twice", &[]).await else { return };
    let other = Desk::start(&["--read-only"]);
    browser.driver.goto(&other.address).await.expect("the other entrance");
    browser.wait_for_text("read only").await;
    browser.goto("/feed").await;
    assert!(browser.driver.find(Locator::Css("nav [aria-current]")).await.is_ok(), "{}", browser.text().await);
    browser.driver.goto(&format!("{}/feed", other.base())).await.expect("a page");
    browser.wait_for_text("read only").await;
    // The code is spent, and says so; another browser has no session.
    browser.driver.goto(&desk.address).await.expect("the entrance");
    browser.wait_for_text("The code opens nothing").await;
    let stranger = Browser::start("session twice", desk.base()).await;
    stranger.goto("/feed").await;
    stranger.wait_for_text("There is no session").await;
    stranger.judge().await;
    stranger.shoot("no-session").await;
}
