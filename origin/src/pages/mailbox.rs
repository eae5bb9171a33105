//! The messages of the demo site: always the same, made once, shared by all threads. Called by `site.rs`.

use std::fmt::Write;
use std::sync::LazyLock;

use bytes::Bytes;
use serde::Serialize;

use crate::random::Random;

/// One message.
#[derive(Serialize)]
pub(crate) struct Message {
    id: u64,
    from: String,
    subject: String,
    unread: bool,
    body: String,
}

/// The message with that number.
pub(crate) fn message(number: u64) -> Option<Message> {
    (1..=MESSAGES).contains(&number).then(|| Message {
        id: number,
        from: format!("{}@example.com", pick(&NAMES, number)),
        subject: format!("{} {number}", pick(&SUBJECTS, number)),
        unread: number.is_multiple_of(3),
        body: BODY.repeat(1 + number as usize % 4),
    })
}

/// All messages as a JSON array.
pub(crate) fn json() -> Bytes {
    static JSON: LazyLock<Bytes> = LazyLock::new(|| {
        let messages: Vec<Message> = all().collect();
        // Strings, numbers and booleans always serialize.
        serde_json::to_vec(&messages).unwrap_or_default().into()
    });
    JSON.clone()
}

/// The list as a page.
pub(crate) fn page() -> Bytes {
    static PAGE: LazyLock<Bytes> = LazyLock::new(|| {
        let mut rows = String::new();
        for Message { id, from, subject, unread, .. } in all() {
            let class = if unread { "unread" } else { "read" };
            let link = format!(r#"<a href="/api/messages/{id}">{subject}</a>"#);
            // Writing to a string cannot fail.
            let _ = writeln!(rows, r#"<tr class="{class}"><td>{from}</td><td>{link}</td></tr>"#);
        }
        include_str!("../../assets/inbox.html").replace("{{rows}}", &rows).into()
    });
    PAGE.clone()
}

/// A number for a message that nobody keeps: outside the mailbox, and hardly ever the same twice.
pub(crate) fn new_number(random: &Random) -> u64 {
    // 53 bits, which JavaScript can still count.
    MESSAGES + 1 + (random.next() >> 12)
}

const MESSAGES: u64 = 25;
const NAMES: [&str; 5] = ["ada", "grace", "edsger", "barbara", "donald"];
const SUBJECTS: [&str; 7] =
    ["Minutes of meeting", "Invoice", "Re: build number", "Holiday photo", "Ticket", "Draft", "Reminder"];
const BODY: &str = "The quick brown fox jumps over the lazy dog, and the server answers again and again. ";

fn all() -> impl Iterator<Item = Message> {
    (1..=MESSAGES).filter_map(message)
}

fn pick<'a>(words: &[&'a str], number: u64) -> &'a str {
    words[number as usize % words.len()]
}
