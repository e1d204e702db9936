//! The supervisor in a browser: what they may decide, theirs and represented, decided with a reason.

use super::browser;

#[tokio::test]
async fn a_supervisor_decides_on_their_own_people_and_on_those_they_represent() {
    let Some((desk, browser)) = browser::begin("supervisor", &[]).await else { return };
    desk.run(&["person", "create", "ADMIN", "--role", "superuser"]);
    for name in ["BOSS", "CHIEF"] {
        desk.run(&["person", "create", name, "--role", "supervisor"]);
    }
    for (name, supervisor) in [("<script>x</script>", "BOSS"), ("DOGGO01a", "BOSS"), ("CAT02b", "CHIEF")] {
        desk.run(&["person", "create", name, "--role", "member"]);
        desk.run(&["supervisor", "assign", name, supervisor]);
    }
    desk.run(&["supervisor", "add_representative", "CHIEF", "BOSS"]);
    let event = desk.run(&[
        "event",
        "create",
        "Camp",
        "--kind",
        "camp",
        "--owner",
        "ADMIN",
        "--start",
        "2099-03-01T10:00:00Z",
        "--duration-minutes",
        "60",
        "--published",
        "true",
        "--approval",
        "supervisor",
        "--field",
        "pk",
    ]);
    for name in ["<script>x</script>", "DOGGO01a", "CAT02b"] {
        desk.run(&["registration", "create", &event, name]);
    }
    browser.goto("/supervisor").await;
    browser.wait_for_text("Name the person").await;
    browser.fill("#person", "BOSS").await;
    browser.submit("form[role=search] button").await;
    browser.wait_for_text("<script>x</script>").await;
    let text = browser.text().await;
    let (own, represented) = text.split_once("Of people whose supervisor they represent").expect("both lists");
    assert!(own.contains("DOGGO01a") && represented.contains("CAT02b") && represented.contains("CHIEF"), "{text}");
    browser.judge().await;
    browser.shoot("supervisor").await;
    browser.shoot_phone("supervisor").await;
    browser.run("document.querySelectorAll('tbody input').forEach((box, at) => at > 0 && box.click())").await;
    browser.fill("#reason", "not this time").await;
    browser.submit("button[value=reject]").await;
    browser.wait_for_text("All 2 are done").await;
    assert!(browser.address().await.starts_with("/supervisor?person=BOSS"), "the filter stays in the address");
    assert_eq!(desk.run(&["registration", "get", &event, "CAT02b", "--field", "approval"]), "rejected");
    browser.run("document.querySelector('tbody input').click()").await;
    browser.submit("button[value=approve]").await;
    browser.wait_for_text("approved").await;
    browser.wait_for_text("nothing waits").await;
    assert!(desk.run(&["--json", "changes", "list"]).contains("\"verb\":\"reject\""));
    // Somebody who is not there is told at the field.
    browser.fill("#person", "NOBODY").await;
    browser.submit("form[role=search] button").await;
    browser.wait_for_text("There is a problem").await;
    browser.judge().await;
}
