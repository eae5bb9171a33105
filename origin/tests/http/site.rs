//! The demo site: logging in with and without the form's token, pages, assets, the JSON API, logging out.

use std::net::TcpStream;

use serde_json::json;

use crate::client::{Client, Response, get};
use crate::{server, server_with};

const GOOD: &str = "_user=demo&_pass=demo";

fn log_in(client: &mut Client<TcpStream>) -> String {
    let response = client.request("POST", "/login?csrf=off", &[], GOOD);
    assert_eq!((response.status, response.field("location")), (303, Some("/inbox")));
    response.cookie().expect("a session").to_owned()
}

fn token(form: &Response) -> String {
    let (_, rest) = form.text().split_once("name=\"_token\" value=\"").expect("a token");
    rest.split('"').next().expect("its end").to_owned()
}

#[test]
fn the_form_needs_the_token_of_its_session() {
    // Two threads: the session of one is known to the other.
    let origin = server_with(2);
    let form = get(&origin, "/login");
    assert_eq!(form.status, 200);
    assert!(form.body.len() > 2000);
    let cookie = form.cookie().expect("a session").to_owned();
    assert!(cookie.starts_with("sessid="));
    let token = token(&form);

    let post = |cookie: &str, body: &str| {
        Client::clear(&origin).request("POST", "/login", &[("cookie", cookie)], body)
    };
    let other = get(&origin, "/login").cookie().expect("a session").to_owned();
    assert_eq!(post(&cookie, GOOD).status, 403);
    assert_eq!(post(&cookie, &format!("_token=0&{GOOD}")).status, 403);
    assert_eq!(post("sessid=made-up", &format!("_token={token}&{GOOD}")).status, 403);
    assert_eq!(post(&other, &format!("_token={token}&{GOOD}")).status, 403);
    assert_eq!(post(&cookie, &format!("_token={token}&_user=demo&_pass=wrong")).status, 403);

    for _ in 0..8 {
        let response = post(&format!("a=b; {cookie}"), &format!("_token={token}&{GOOD}"));
        assert_eq!((response.status, response.field("location")), (303, Some("/inbox")));
        let user = response.cookie().expect("a session").to_owned();
        assert_ne!(user, cookie);
        assert_eq!(Client::clear(&origin).request("GET", "/inbox", &[("cookie", &user)], "").status, 200);
    }
}

#[test]
fn the_inbox_is_for_users() {
    let origin = server();
    let mut client = Client::clear(&origin);
    assert_eq!(client.get("/inbox").status, 401);
    let visitor = client.get("/login").cookie().expect("a session").to_owned();
    assert_eq!(client.request("GET", "/inbox", &[("cookie", &visitor)], "").status, 401);
    let user = log_in(&mut client);
    let inbox = client.request("GET", "/inbox", &[("cookie", &user)], "");
    assert_eq!(inbox.status, 200);
    assert!(inbox.text().contains("<a href=\"/api/messages/25\">"));
    for (name, content_type) in [
        ("app.css", "text/css; charset=utf-8"),
        ("app.js", "text/javascript; charset=utf-8"),
        ("logo.svg", "image/svg+xml"),
    ] {
        assert!(inbox.text().contains(&format!("/static/{name}")));
        let asset = client.get(&format!("/static/{name}"));
        assert_eq!((asset.status, asset.field("content-type")), (200, Some(content_type)));
    }
    assert_eq!(client.get("/static/none").status, 404);
}

#[test]
fn logging_out_takes_the_cookie_back() {
    let origin = server();
    let mut client = Client::clear(&origin);
    for method in ["GET", "POST"] {
        let response = client.request(method, "/logout", &[], "");
        assert_eq!((response.status, response.field("location")), (303, Some("/login")));
        assert_eq!(response.cookie(), Some("sessid="));
        assert!(response.field("set-cookie").expect("a cookie").contains("Max-Age=0"));
    }
}

#[test]
fn the_api_takes_a_session_or_a_bearer_token() {
    let origin = server();
    let mut client = Client::clear(&origin);
    assert_eq!(client.get("/api/status").json()["status"], "ok");
    assert_eq!(client.get("/api/messages").status, 401);

    let login = client.request("POST", "/api/login", &[], r#"{"user":"demo","password":"demo"}"#);
    assert_eq!(login.json(), json!({ "token": "demo-token" }));
    let cookie = login.cookie().expect("a session").to_owned();
    assert_eq!(client.request("POST", "/api/login", &[], r#"{"user":"demo"}"#).status, 403);
    assert_eq!(client.request("POST", "/api/login", &[], "[").status, 400);

    for field in [("cookie", cookie.as_str()), ("authorization", "Bearer demo-token")] {
        let messages = client.request("GET", "/api/messages", &[field], "").json();
        assert_eq!(messages.as_array().expect("an array").len(), 25);
        assert_eq!(client.request("GET", "/api/messages/7", &[field], "").json(), messages[6]);
        for none in ["0", "26", "x"] {
            assert_eq!(client.request("GET", &format!("/api/messages/{none}"), &[field], "").status, 404);
        }
        let created = client.request("POST", "/api/messages", &[field], r#"{"subject":"hi"}"#);
        assert_eq!(created.status, 201);
        let document = created.json();
        assert_eq!(document["subject"], "hi");
        assert_eq!(created.field("location"), Some(format!("/api/messages/{}", document["id"]).as_str()));
    }
    assert_eq!(client.request("GET", "/api/messages", &[("authorization", "Bearer other")], "").status, 401);
}

#[test]
fn methods_and_sizes_are_limited() {
    let origin = server();
    let mut client = Client::clear(&origin);
    let response = client.request("DELETE", "/login", &[], "");
    assert_eq!((response.status, response.field("allow")), (405, Some("GET, HEAD, POST")));
    assert_eq!(client.request("POST", "/inbox", &[], "x").status, 405);
    assert_eq!(client.get("/api/login").status, 405);
    assert_eq!(client.get("/api/none").status, 404);
    assert_eq!(client.request("POST", "/login", &[], &"x".repeat(200_000)).status, 413);
    assert_eq!(client.get("/login").status, 200);
}
