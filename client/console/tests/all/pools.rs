//! Pools in a browser: one is made, switched off and on, gets another code, and is printed as an invitation.

use super::browser;

#[tokio::test]
async fn a_pool_from_its_making_to_its_invitation() {
    let Some((desk, browser)) = browser::begin("pools", &[]).await else { return };
    desk.run(&["person", "create", "<script>alert(1)</script>"]);
    browser.goto("/pools").await;
    browser.fill("#new-owner", "<script>alert(1)</script>").await;
    browser.fill("#max-uses", "many").await;
    browser.submit("form[action$='/create'] button").await;
    assert!(browser.driver.title().await.expect("a title").starts_with("Error: "));
    assert_eq!(browser.run("return document.querySelector('#max-uses').value").await, "many");
    browser.judge().await;
    browser.fill("#max-uses", "40").await;
    browser.fill("#expires", "2099-01-31T18:00:00Z").await;
    browser.submit("form[action$='/create'] button").await;
    browser.wait_for_text("the pool: made").await;
    let page = browser.address().await;
    let pk = page.trim_start_matches("/pools/").split('?').next().unwrap_or_default().to_owned();
    let code = desk.run(&["pool", "get", &pk, "--field", "invitecode"]);
    desk.run(&["enrollment", "create", "CAT02b", "--pool", &code, "--extra", "{\"m\":\"\u{202e}gnp\"}"]);
    browser.goto(&format!("/pools/{pk}")).await;
    browser.wait_for_text("1 of 40").await;
    browser.wait_for_text("1: CAT02b").await;
    browser.judge().await;
    browser.shoot("pool").await;
    browser.shoot_phone("pool").await;
    browser.goto("/pools").await;
    browser.judge().await;
    browser.shoot("pools").await;
    browser.shoot_phone("pools").await;
    browser.goto(&format!("/pools/{pk}")).await;
    browser.submit("form[action$='/active'] button").await;
    browser.wait_for_text("no longer active").await;
    assert_eq!(desk.run(&["pool", "get", &pk, "--field", "usable"]), "inactive");
    browser.submit("form[action$='/active'] button").await;
    browser.wait_for_text("the pool: active").await;
    browser.submit("form[action$='/rotate'] button").await;
    browser.wait_for_text("has another invite code").await;
    let other = desk.run(&["pool", "get", &pk, "--field", "invitecode"]);
    assert_ne!(code, other);
    let changes = desk.run(&["--json", "changes", "list"]);
    for verb in ["create", "set_active", "reset_code"] {
        assert!(changes.contains(&format!("\"verb\":\"{verb}\"")), "{verb}: {changes}");
    }
    browser.goto(&format!("/pools/{pk}/invitation?link=https://club.example/enroll?code=")).await;
    browser.wait_for_text(&format!("https://club.example/enroll?code={other}")).await;
    let label = browser.run("return document.querySelector('svg.qr').getAttribute('aria-label')").await;
    assert_eq!(label, format!("QR code: https://club.example/enroll?code={other}"));
    browser.judge().await;
    browser.shoot("invitation").await;
    browser.shoot_phone("invitation").await;
}
