//! The demo site: a small web mail. A form login with a token against forged requests, a session cookie,
//! pages with assets to fetch, and a JSON API that also takes a bearer token. User and password are both
//! `demo`.
//!
//! | path | what it does |
//! |---|---|
//! | `GET /login` | the form; sets a visitor's session |
//! | `POST /login` | `_token`, `_user`, `_pass`: 303 to `/inbox` and a user's session, or 403 |
//! | `POST /login?csrf=off` | the same without `_token` |
//! | `GET /inbox` | HTML list, 401 without a user's session |
//! | `GET /logout`, `POST /logout` | 303 to `/login`, takes the cookie back |
//! | `POST /api/login` | `{"user":...,"password":...}`: `{"token":"demo-token"}` and a session, or 403 |
//! | `GET /api/status` | JSON, for everyone |
//! | `GET /api/messages` | JSON, with a session or `Authorization: Bearer demo-token` |
//! | `GET /api/messages/N` | one of them |
//! | `POST /api/messages` | 201 and the message with a number. It is not kept |
//! | `GET /static/...` | `app.css`, `app.js`, `logo.svg` |
//!
//! It keeps nothing between requests, so that it is the same for every thread and its memory has a bound.
//! Called by `pages/mod.rs`.

use std::rc::Rc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, LOCATION, SET_COOKIE};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::body::Body;
use crate::link::Link;
use crate::pages::incoming::{self, Unreadable};
use crate::pages::{mailbox, reply};
use crate::session::Session;
use crate::upload::Upload;

/// The pages and the API.
pub(crate) async fn page(link: &Rc<Link>, parts: &Parts, body: Upload) -> Response<Body> {
    let sent = match incoming::collect(link, body).await {
        Ok(sent) => sent,
        Err(Unreadable::TooLarge) => {
            return reply::text(StatusCode::PAYLOAD_TOO_LARGE, "too large for a form\n");
        }
        Err(Unreadable::BrokenOff) => return reply::text(StatusCode::BAD_REQUEST, "the body broke off\n"),
    };
    let visit = Visit { link, parts, sent };
    let reading = matches!(parts.method, Method::GET | Method::HEAD);
    let posting = parts.method == Method::POST;
    match parts.uri.path() {
        "/login" if reading => visit.form(),
        "/login" if posting => visit.log_in(),
        "/inbox" if reading => visit.inbox(),
        "/logout" if reading || posting => visit.log_out(),
        "/api/login" if posting => visit.api_log_in(),
        "/api/status" if reading => visit.status(),
        "/api/messages" if reading => visit.messages(),
        "/api/messages" if posting => visit.new_message(),
        "/login" | "/logout" | "/api/messages" => reply::method_not_allowed("GET, HEAD, POST"),
        "/inbox" | "/api/status" => reply::method_not_allowed("GET, HEAD"),
        "/api/login" => reply::method_not_allowed("POST"),
        path => match path.strip_prefix("/api/messages/") {
            Some(number) if reading => visit.message(number),
            Some(_) => reply::method_not_allowed("GET, HEAD"),
            None => reply::not_found(),
        },
    }
}

/// A file under `/static/`.
pub(crate) fn asset(name: &str) -> Response<Body> {
    let (content_type, bytes) = match name {
        "app.css" => ("text/css; charset=utf-8", &include_bytes!("../../assets/app.css")[..]),
        "app.js" => ("text/javascript; charset=utf-8", &include_bytes!("../../assets/app.js")[..]),
        "logo.svg" => ("image/svg+xml", &include_bytes!("../../assets/logo.svg")[..]),
        _ => return reply::not_found(),
    };
    let mut response = reply::typed(StatusCode::OK, content_type, Bytes::from_static(bytes));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("max-age=3600"));
    response
}

const USER: &str = "demo";
const PASSWORD: &str = "demo";
const BEARER: &str = "Bearer demo-token";
const LOGIN: &str = include_str!("../../assets/login.html");

/// A request to the site, with all that it sent.
struct Visit<'a> {
    link: &'a Link,
    parts: &'a Parts,
    sent: Vec<u8>,
}

impl Visit<'_> {
    fn form(&self) -> Response<Body> {
        let keys = &self.link.worker.shared.sessions;
        let session = self.session().unwrap_or_else(|| keys.visitor(&self.link.worker.random));
        let page = LOGIN.replace("{{token}}", &keys.form_token(session));
        with_session(reply::html(StatusCode::OK, page), &keys.sign(session))
    }

    fn log_in(&self) -> Response<Body> {
        let field = |wanted: &str| {
            form_urlencoded::parse(&self.sent)
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.into_owned())
        };
        let keys = &self.link.worker.shared.sessions;
        let unchecked =
            self.parts.uri.query().is_some_and(|query| query.split('&').any(|part| part == "csrf=off"));
        let ours = self.session().is_some_and(|session| field("_token") == Some(keys.form_token(session)));
        if !ours && !unchecked {
            return reply::text(StatusCode::FORBIDDEN, "the form is not of this session\n");
        }
        if field("_user").as_deref() != Some(USER) || field("_pass").as_deref() != Some(PASSWORD) {
            return reply::text(StatusCode::FORBIDDEN, "wrong user or password\n");
        }
        let session = keys.sign(keys.user(&self.link.worker.random));
        with_session(see_other("/inbox"), &session)
    }

    fn log_out(&self) -> Response<Body> {
        let mut response = see_other("/login");
        response
            .headers_mut()
            .insert(SET_COOKIE, HeaderValue::from_static("sessid=; Path=/; Max-Age=0; HttpOnly"));
        response
    }

    fn inbox(&self) -> Response<Body> {
        match self.session() {
            Some(Session::User(_)) => reply::html(StatusCode::OK, mailbox::page()),
            _ => reply::html(StatusCode::UNAUTHORIZED, "<p>Please <a href=\"/login\">log in</a>.</p>\n"),
        }
    }

    fn api_log_in(&self) -> Response<Body> {
        let Ok(document) = serde_json::from_slice::<Value>(&self.sent) else {
            return problem(StatusCode::BAD_REQUEST, "not JSON");
        };
        if document["user"] != USER || document["password"] != PASSWORD {
            return problem(StatusCode::FORBIDDEN, "wrong user or password");
        }
        let keys = &self.link.worker.shared.sessions;
        let session = keys.sign(keys.user(&self.link.worker.random));
        let token = BEARER.trim_start_matches("Bearer ");
        with_session(reply::json(StatusCode::OK, &json!({ "token": token })), &session)
    }

    fn status(&self) -> Response<Body> {
        let shared = &self.link.worker.shared;
        let document = json!({
            "status": "ok",
            "server": concat!("loadgen ", env!("CARGO_PKG_VERSION")),
            "threads": shared.threads().len(),
            "uptime_s": shared.begun.elapsed().as_secs_f64(),
        });
        reply::json(StatusCode::OK, &document)
    }

    fn messages(&self) -> Response<Body> {
        if !self.may_use_api() {
            return unauthorized();
        }
        reply::typed(StatusCode::OK, "application/json", mailbox::json())
    }

    fn message(&self, number: &str) -> Response<Body> {
        if !self.may_use_api() {
            return unauthorized();
        }
        match number.parse().ok().and_then(mailbox::message) {
            Some(message) => reply::json(StatusCode::OK, &message),
            None => problem(StatusCode::NOT_FOUND, "no such message"),
        }
    }

    fn new_message(&self) -> Response<Body> {
        if !self.may_use_api() {
            return unauthorized();
        }
        let Ok(mut document @ Value::Object(_)) = serde_json::from_slice::<Value>(&self.sent) else {
            return problem(StatusCode::BAD_REQUEST, "not a JSON object");
        };
        let number = mailbox::new_number(&self.link.worker.random);
        document["id"] = number.into();
        let mut response = reply::json(StatusCode::CREATED, &document);
        if let Ok(location) = HeaderValue::try_from(format!("/api/messages/{number}")) {
            response.headers_mut().insert(LOCATION, location);
        }
        response
    }

    fn may_use_api(&self) -> bool {
        let bearer = self.parts.headers.get(AUTHORIZATION).is_some_and(|value| value == BEARER);
        bearer || matches!(self.session(), Some(Session::User(_)))
    }

    /// HTTP/2 may split the cookies over several fields (RFC 9113 section 8.2.3).
    fn session(&self) -> Option<Session> {
        let fields = self.parts.headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut cookies =
            fields.flat_map(|field| field.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
        let (_, value) = cookies.find(|(name, _)| *name == "sessid")?;
        self.link.worker.shared.sessions.verify(value)
    }
}

fn with_session(mut response: Response<Body>, session: &str) -> Response<Body> {
    let cookie = format!("sessid={session}; Path=/; HttpOnly; SameSite=Lax");
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

fn see_other(location: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(LOCATION, HeaderValue::from_static(location));
    response
}

fn unauthorized() -> Response<Body> {
    problem(StatusCode::UNAUTHORIZED, "log in, or send authorization: Bearer demo-token")
}

fn problem(status: StatusCode, error: &str) -> Response<Body> {
    reply::json(status, &json!({ "error": error }))
}
