//! People in a browser: the search as one types, roles, and the certificate from its download to its revocation.

use super::browser;

#[tokio::test]
async fn people_are_found_as_one_types_and_by_the_button() {
    let Some((desk, browser)) = browser::begin("people search", &[]).await else { return };
    for name in ["DOGGO01a", "doggo02b", "CAT02b", "<script>alert(1)</script>"] {
        desk.run(&["person", "create", name, "--extra", "{\"mirror\":\"\u{202e}gnp.exe\"}"]);
    }
    browser.goto("/people").await;
    browser.wait_for_text("4 people").await;
    browser.judge().await;
    browser.shoot("people").await;
    browser.shoot_phone("people").await;
    browser.fill("#prefix", "dog").await;
    browser.wait_for_text("2 people").await;
    browser.wait("the address keeps it", "return location.search === '?prefix=dog'").await;
    assert!(!browser.text().await.contains("CAT02b"));
    // The same by the button, which needs no script.
    browser.submit("form[role=search] button").await;
    browser.wait_for_text("2 people").await;
    browser.goto("/people?prefix=%3C").await;
    browser.submit("tbody a").await;
    browser.wait_for_text("<script>alert(1)</script>").await;
    browser.wait_for_text("\\u{202e}gnp.exe").await;
    browser.judge().await;
    browser.goto("/people?role=UPPER").await;
    browser.wait_for_text("There is a problem").await;
    browser.judge().await;
}

#[tokio::test]
async fn a_role_and_a_certificate_from_click_to_changes() {
    let Some((desk, browser)) = browser::begin("person", &[]).await else { return };
    desk.run(&["person", "create", "BOSS", "--role", "superuser"]);
    let pk = desk.run(&["person", "create", "DOGGO01a", "--certificate", "generate", "--field", "pk"]);
    desk.run(&["pool", "create", "--owner", "DOGGO01a", "--max-uses", "4"]);
    let page = format!("/people/{pk}");
    browser.goto(&page).await;
    browser.fill("#role", "NOT A ROLE").await;
    browser.submit("form:has(#role) button").await;
    assert!(browser.driver.title().await.expect("a title").starts_with("Error: "));
    browser.fill("#role", "member").await;
    browser.submit("form:has(#role) button").await;
    browser.wait_for_text("DOGGO01a: has the role member").await;
    assert_eq!(desk.run(&["role", "list", "DOGGO01a"]), "member");
    browser.judge().await;
    browser.shoot("person").await;
    browser.shoot_phone("person").await;
    browser.submit("form:has(input[value=take]) button").await;
    browser.wait_for_text("no longer has the role member").await;
    let serial = |text: &str| text.lines().skip_while(|line| *line != "Serial").nth(1).map(str::to_owned);
    let before = serial(&browser.text().await);
    browser.submit("form[action$='/renew'] button").await;
    browser.wait_for_text("has another certificate").await;
    assert_ne!(serial(&browser.text().await), before);
    browser.submit("form[action$='/revoke'] button").await;
    browser.wait_for_text("is revoked").await;
    browser.judge().await;
    let changes = desk.run(&["--json", "changes", "list"]);
    for verb in ["assign", "remove", "renew", "revoke"] {
        assert!(changes.contains(&format!("\"verb\":\"{verb}\"")), "{verb}: {changes}");
    }
}

#[tokio::test]
async fn files_are_made_by_a_form_and_have_a_safe_name() {
    let Some((desk, browser)) = browser::begin("certificate files", &[]).await else { return };
    let name = "../\"é <b>";
    let pk = desk.run(&["person", "create", name, "--certificate", "generate", "--field", "pk"]);
    browser.goto(&format!("/people/{pk}")).await;
    let fetched = |form: &str, password: &str| {
        format!(
            "const done = arguments[arguments.length - 1];
            const form = document.querySelector('form[action$=\"{form}\"]');
            if (form.password) form.password.value = '{password}';
            fetch(form.action, {{method: 'POST', body: new URLSearchParams(new FormData(form))}}).then(async (answer) =>
              done([answer.status, answer.headers.get('content-disposition'), answer.headers.get('cache-control'),
                [...new Uint8Array(await answer.arrayBuffer())].slice(0, 10)]))"
        )
    };
    let pem = browser.driver.execute_async(&fetched("/certificate", ""), Vec::new()).await.expect("an answer");
    assert_eq!(pem[0], 200, "{pem}");
    assert_eq!(pem[1], "attachment; filename=\"-------b-.pem\"", "{pem}");
    assert_eq!(pem[2], "no-store");
    assert_eq!(pem[3][0], u64::from(b'-'));
    let pfx = browser.driver.execute_async(&fetched("/pfx", "secret"), Vec::new()).await.expect("an answer");
    assert_eq!((&pfx[0], &pfx[3][0]), (&200.into(), &0x30.into()), "{pfx}");
    browser.run("document.querySelector('#password').value = ''").await;
    // Without a password it is told at its field.
    browser.submit("form[action$='/pfx'] button").await;
    assert_eq!(browser.run("return !!document.querySelector('#password-problem')").await, true);
    browser.judge().await;
}
