//! A walk over every page that a link leads to: nothing inline, nothing from elsewhere, nothing that a script reader
//! stumbles over, and nothing that the policy had to stop.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::browser;

/// Pages of one kind that are visited.
const PER_KIND: usize = 3;

/// The aim for the first page, with room for a machine that does other things too.
const PAGE_MAX: Duration = Duration::from_millis(1000);

/// Texts that no page may have.
const FOREIGN: &str = "
    const all = [...document.querySelectorAll('*')];
    const outside = (url) => url && new URL(url, location).origin !== location.origin;
    return all.filter((e) => e.hasAttribute('style') || e.tagName === 'STYLE' || (e.tagName === 'SCRIPT' && !e.src)
        || outside(e.src) || outside(e.tagName === 'LINK' && e.href) || outside(e.tagName === 'FORM' && e.action)
        || outside(e.tagName === 'A' && e.href)
        || [...e.attributes].some((a) => a.name.startsWith('on'))).map((e) => e.outerHTML);";

const LINKS: &str = "return [...document.querySelectorAll('a[href]')].map((a) => a.href);";

/// Ids that two elements have.
const DOUBLE: &str = "
    const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
    return ids.filter((id, at) => ids.indexOf(id) !== at);";

#[tokio::test]
async fn no_page_has_anything_inline_or_from_elsewhere() {
    let Some((desk, browser)) = browser::begin("walk", &[]).await else { return };
    desk.run(&["person", "create", "BOSS", "--role", "superuser"]);
    let pool = desk.run(&["pool", "create", "--owner", "BOSS", "--field", "invitecode"]);
    for name in ["CAT02b", "DOG03c"] {
        desk.run(&["enrollment", "create", name, "--pool", &pool]);
    }
    desk.run(&["--as", "BOSS", "enrollment", "reject", "CAT02b"]);
    let unlinked = ["", "/errors", "/enrollments?state=all", "/feed?refused=only", "/feed/1000000", "/nothing"];
    let (mut seen, mut kinds) = (BTreeSet::new(), Vec::new());
    let mut left: VecDeque<String> = unlinked.map(str::to_owned).into();
    while let Some(address) = left.pop_front() {
        let kind = kind(&address);
        if !seen.insert(address.clone()) || kinds.iter().filter(|known| **known == kind).count() >= PER_KIND {
            continue;
        }
        let begin = Instant::now();
        browser.goto(&address).await;
        if kinds.is_empty() {
            assert!(begin.elapsed() < PAGE_MAX, "the first page took {:?}", begin.elapsed());
        }
        if !kinds.contains(&kind) {
            browser.judge().await;
        }
        kinds.push(kind);
        for (what, script) in [("inline or foreign", FOREIGN), ("ids", DOUBLE)] {
            assert_eq!(browser.run(script).await, serde_json::json!([]), "{what} at {address}");
        }
        assert_ne!(browser.driver.title().await.expect("a title"), "", "{address}");
        let links = browser.run(LINKS).await;
        let links = links.as_array().expect("links").iter().filter_map(|link| link.as_str());
        let here =
            links.filter_map(|link| link.strip_prefix(desk.base())).map(|link| link.split('#').next().unwrap_or(link));
        left.extend(here.map(str::to_owned));
    }
    assert!(kinds.len() > 12, "{kinds:?}");
}

/// An address without what differs between pages of one kind.
fn kind(address: &str) -> String {
    let path = address.split('?').next().unwrap_or(address);
    let is_name = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    path.split('/').filter(is_name).collect::<Vec<_>>().join("/")
}
