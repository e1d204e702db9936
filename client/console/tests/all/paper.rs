//! Printed pages: no navigation, no form, the lists whole, and an invitation that a reader of QR codes reads.

use std::path::Path;
use std::process::Command;

use enroll_tests::skip;
use fantoccini::Locator;
use serde_json::json;

use super::browser::{self, Browser};
use super::events::fill;

/// The pages of a PDF as text, in the order of the paper.
fn pages_of(pdf: &Path) -> Vec<String> {
    let text = Command::new("pdftotext").arg("-layout").arg(pdf).arg("-").output().expect("pdftotext");
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    text.split('\u{c}').filter(|page| !page.trim().is_empty()).map(str::to_owned).collect()
}

/// Prints a page; its text with each run of white space as one blank, and the number of its sheets.
async fn printed(browser: &Browser, name: &str) -> (String, usize) {
    let pages = pages_of(&browser.print(name).await);
    let text = pages.join(" ");
    for part in
        ["Skip to", "Keyboard", "enrollctl console", "Reason of a rejection", "Approve those", "Filter", "Register a"]
    {
        assert!(!text.contains(part), "{part:?} is printed on {name}: {text}");
    }
    (text.split_whitespace().collect::<Vec<_>>().join(" "), pages.len())
}

/// The text of the QR code as it is on the screen.
async fn read(browser: &Browser) -> String {
    let element = browser.driver.find(Locator::Css("svg.qr")).await.expect("a symbol");
    let picture = element.screenshot().await.expect("a picture");
    let picture = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, picture);
    browser.driver.goto("about:blank").await.expect("an empty page");
    let script = format!(
        "const done = arguments[arguments.length - 1];
        const image = new Image();
        image.onload = () => {{
            const canvas = document.createElement('canvas');
            [canvas.width, canvas.height] = [image.width, image.height];
            const context = canvas.getContext('2d');
            context.drawImage(image, 0, 0);
            const {{ data }} = context.getImageData(0, 0, image.width, image.height);
            done([image.width, [...data].filter((_, at) => at % 4 === 1)]);
        }};
        image.src = 'data:image/png;base64,{picture}';"
    );
    let drawn = browser.driver.execute_async(&script, Vec::new()).await.expect("pixels");
    let (width, pixels): (usize, Vec<u8>) = serde_json::from_value(drawn).expect("pixels");
    let height = pixels.len() / width;
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| pixels[y * width + x]);
    let symbols = image.detect_grids();
    assert_eq!(symbols.len(), 1);
    symbols[0].decode().expect("a text").1
}

#[tokio::test]
async fn the_symbol_of_an_invitation_reads_as_its_text() {
    let Some((desk, browser)) = browser::begin("QR code", &[]).await else { return };
    desk.run(&["person", "create", "BOSS"]);
    let pool = desk.run(&["pool", "create", "--owner", "BOSS", "--field", "pk"]);
    let code = desk.run(&["pool", "get", &pool, "--field", "invitecode"]);
    let page = format!("/pools/{pool}/invitation");
    browser.goto(&page).await;
    assert_eq!(read(&browser).await, code);
    // An address with what browsers like to encode is printed and encoded alike.
    browser.goto(&page).await;
    let link = "https://club.example/enr\u{f6}ll?a=1&b=%20#c=";
    browser.fill("#link", link).await;
    browser.submit("form[action$='/invitation'] button").await;
    browser.wait_for_text(&format!("{link}{code}")).await;
    assert_eq!(read(&browser).await, format!("{link}{code}"));
}

#[tokio::test]
async fn pages_are_printed_without_what_one_clicks_and_with_every_person() {
    if !skip::is_installed("printed pages", "pdftotext") {
        return;
    }
    let Some((desk, browser)) = browser::begin("printed pages", &[]).await else { return };
    let names: Vec<String> = (0..48).map(|number| format!("DOG{number:02}")).collect();
    let event = fill(&desk, "Camp", 40, &["--approval", "supervisor"], &[]);
    desk.call(names.iter().map(|name| ("person.create", json!({"callsign": name, "roles": ["member"]}))));
    desk.call(names.iter().map(|name| ("supervisor.assign", json!({"person": name, "supervisor": "BOSS"}))));
    desk.call(names.iter().map(|name| ("registration.create", json!({"event": event, "person": name}))));
    let pool = desk.run(&["pool", "create", "--owner", "BOSS", "--field", "pk"]);
    let code = desk.run(&["pool", "get", &pool, "--field", "invitecode"]);
    for number in 0..12 {
        desk.run(&["enrollment", "create", &format!("CAT{number:02}"), "--pool", &pool]);
    }
    // The desk's list of who comes: everybody, those who wait with their number.
    browser.goto(&format!("/events/{event}")).await;
    let (text, _) = printed(&browser, "paper-event").await;
    assert!(text.contains("Camp") && text.contains("Waiting list") && text.contains("waits as number 8"), "{text}");
    for name in &names {
        assert!(text.contains(name), "{name}: {text}");
    }
    browser.goto("/supervisor?person=BOSS").await;
    let (text, _) = printed(&browser, "paper-supervisor").await;
    assert!(names.iter().all(|name| text.contains(name)), "{text}");
    browser.goto("/enrollments").await;
    let (text, _) = printed(&browser, "paper-enrollments").await;
    assert!((0..12).all(|number| text.contains(&format!("CAT{number:02}"))), "{text}");
    browser.goto(&format!("/pools/{pool}/invitation?link=https://club.example/enroll?code=")).await;
    let (text, sheets) = printed(&browser, "paper-invitation").await;
    assert!(text.contains(&format!("https://club.example/enroll?code={code}")), "{text}");
    assert_eq!(sheets, 1);
    for (page, name, part) in [
        ("", "paper-today", "What happens now"),
        ("/people", "paper-people", "DOG00"),
        ("/pools", "paper-pools", "BOSS"),
        ("/events", "paper-events", "Camp"),
        ("/feed", "paper-feed", "enrollment.create"),
    ] {
        browser.goto(page).await;
        let (text, _) = printed(&browser, name).await;
        assert!(text.contains(part), "{part}: {text}");
    }
}
