//! The counters: exact with many connections and threads, and not moved by looking at them.

use std::thread;

use crate::client::{Client, get};
use crate::{server, server_with};

#[test]
fn every_request_is_counted_once() {
    const CONNECTIONS: u64 = 4;
    const REQUESTS: u64 = 1000;
    let origin = server_with(2);
    thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut client = Client::clear(&origin);
                for number in 0..REQUESTS {
                    let target = ["/?s=100", "/?s=100&r=503", "/any/a?s=1", "/none"][number as usize % 4];
                    client.get(target);
                }
            });
        }
    });
    let stats = origin.stats();
    let quarter = CONNECTIONS * REQUESTS / 4;
    assert_eq!((stats.requests, stats.responses), (4 * quarter, 4 * quarter));
    assert_eq!(
        stats.by_status.into_iter().collect::<Vec<_>>(),
        [(200, 2 * quarter), (404, quarter), (503, quarter)]
    );
    assert_eq!(stats.by_path["/"].requests, 2 * quarter);
    assert_eq!(stats.by_path["/"].by_status[&503], quarter);
    assert_eq!(stats.by_path["/any/a"].requests, quarter);
    assert_eq!(stats.by_path["/none"].by_status[&404], quarter);
    assert_eq!((stats.connections.clear, stats.connections.tls), (CONNECTIONS, 0));
    eventually(|| origin.stats().responses_sent == 4 * quarter);
    eventually(|| origin.stats().connections.open == 0);
}

#[test]
fn the_page_shows_what_the_handle_says_and_counts_nowhere() {
    let origin = server_with(2);
    get(&origin, "/?s=100");
    get(&origin, "/?s=100&t=1");
    Client::clear(&origin).request("HEAD", "/?s=100", &[], "");
    eventually(|| origin.stats().responses_sent == 3);
    for _ in 0..3 {
        let page = get(&origin, "/stats").json();
        assert_eq!(page["requests"], 3);
        assert_eq!(page["responses_sent"], 3);
        assert_eq!(page["by_path"]["/"]["by_status"]["200"], 3);
        assert_eq!(page["body_bytes_sent"], 200);
    }
    assert_eq!(get(&origin, "/stats/reset").status, 204);
    let page = get(&origin, "/stats").json();
    assert_eq!((&page["requests"], &page["connections"]["clear"]), (&0.into(), &1.into()));
    assert!(page["by_path"].as_object().expect("an object").is_empty());
    get(&origin, "/?s=100");
    assert_eq!(origin.stats().requests, 1);
    origin.reset_stats();
    assert_eq!(origin.stats().requests, 0);
}

#[test]
fn a_request_whose_client_left_is_counted_without_a_response() {
    let origin = server();
    let mut client = Client::clear(&origin);
    client.send("GET /?t=3600s HTTP/1.1\r\nhost: test\r\n\r\n");
    eventually(|| origin.stats().requests == 1);
    drop(client);
    eventually(|| origin.stats().connections.open == 0);
    let stats = origin.stats();
    assert_eq!((stats.requests, stats.responses, stats.responses_sent), (1, 0, 0));
}

/// For what becomes true soon after the client has seen its response.
pub fn eventually(condition: impl Fn() -> bool) {
    for _ in 0..5000 {
        if condition() {
            return;
        }
        thread::sleep(std::time::Duration::from_millis(1));
    }
    panic!("still not so after five seconds");
}
