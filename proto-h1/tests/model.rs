//! Legal responses, generated together with what they mean, in any pieces: the connection must find the same meaning.

mod support;

use proptest::prelude::*;
use support::{ALL, Case, config, prepare, template};

#[derive(Clone, Debug)]
enum Body {
    Length(Vec<u8>),
    Chunked {
        chunks: Vec<(Vec<u8>, String)>,
        trailers: Vec<(String, String)>,
    },
    UntilEof(Vec<u8>),
    /// Only for statuses without content, or in answer to HEAD.
    Absent,
}

#[derive(Clone, Debug)]
struct Response {
    interim: Vec<u16>,
    old: bool,
    status: u16,
    reason: String,
    fields: Vec<(String, String)>,
    /// How persistence is spelled: with case and company.
    option: Option<String>,
    body: Body,
}

impl Response {
    fn closes(&self) -> bool {
        let says = |what: &str| {
            self.option.as_deref().is_some_and(|o| o.split(',').any(|o| o.trim().eq_ignore_ascii_case(what)))
        };
        says("close") || (self.old && !says("keep-alive")) || matches!(self.body, Body::UntilEof(_))
    }

    fn wire(&self) -> Vec<u8> {
        let mut out = String::new();
        for status in &self.interim {
            out += &format!("HTTP/1.1 {status} Interim\r\nX: y\r\n\r\n");
        }
        out += &format!("HTTP/1.{} {} {}\r\n", u8::from(!self.old), self.status, self.reason);
        for (name, value) in self.fields() {
            out += &format!("{name}: {value}\r\n");
        }
        out += "\r\n";
        let mut out = out.into_bytes();
        match &self.body {
            Body::Length(body) | Body::UntilEof(body) => out.extend_from_slice(body),
            Body::Chunked { chunks, trailers } => {
                for (chunk, extension) in chunks {
                    out.extend_from_slice(format!("{:X}{extension}\r\n", chunk.len()).as_bytes());
                    out.extend_from_slice(chunk);
                    out.extend_from_slice(b"\r\n");
                }
                out.extend_from_slice(b"0\r\n");
                for (name, value) in trailers {
                    out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
                }
                out.extend_from_slice(b"\r\n");
            }
            Body::Absent => {}
        }
        out
    }

    fn fields(&self) -> Vec<(String, String)> {
        let mut all = self.fields.clone();
        let framing = match &self.body {
            Body::Length(body) => Some(("Content-Length", body.len().to_string())),
            Body::Chunked { .. } => Some(("Transfer-Encoding", "chunked".into())),
            _ => None,
        };
        // In the middle, so that neither end is special.
        let at = all.len() / 2;
        all.extend(self.option.iter().map(|o| ("Connection".to_owned(), o.clone())));
        if let Some((name, value)) = framing {
            all.insert(at, (name.to_owned(), value));
        }
        all
    }

    /// What must be told, for the request with this number.
    fn meaning(&self, n: usize) -> Vec<String> {
        let mut told: Vec<String> = self.interim.iter().map(|s| format!("interim {n} {s}")).collect();
        let list = |fields: &[(String, String)]| -> String {
            fields.iter().map(|(k, v)| format!(" {}={v}", k.to_ascii_lowercase())).collect()
        };
        told.push(format!("head {n} {}{}", self.status, list(&self.fields())));
        if self.closes() {
            told.push("draining".into());
        }
        let body = match &self.body {
            Body::Length(body) | Body::UntilEof(body) => body.clone(),
            Body::Chunked { chunks, .. } => chunks.iter().flat_map(|(c, _)| c.clone()).collect(),
            Body::Absent => Vec::new(),
        };
        if !body.is_empty() {
            told.push(format!("body {n} {}", String::from_utf8_lossy(&body)));
        }
        if let Body::Chunked { trailers, .. } = &self.body
            && !trailers.is_empty()
        {
            told.push(format!("trailers {n}{}", list(trailers)));
        }
        told.push(format!("done {n}"));
        told
    }
}

fn some_fields() -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec(("[Xx]-[A-Za-z0-9!#$%&'*+.^_`|~-]{0,12}", "([!-~]([ -~]{0,30}[!-~])?)?"), 0..6)
}

fn body() -> impl Strategy<Value = Body> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..200);
    let chunk = (
        prop::collection::vec(any::<u8>(), 1..40),
        "(;[a-z]{1,5}(=(\"[ -!#-~]{0,8}\"|[a-z0-9]{1,4}))?){0,2}",
    );
    prop_oneof![
        4 => bytes().prop_map(Body::Length),
        4 => (prop::collection::vec(chunk, 0..5), prop_oneof![Just(Vec::new()), some_fields()])
            .prop_map(|(chunks, trailers)| Body::Chunked { chunks, trailers }),
        1 => bytes().prop_map(Body::UntilEof),
    ]
}

fn response() -> impl Strategy<Value = Response> {
    let option =
        prop::option::weighted(0.3, "(close|Close|keep-alive|Keep-Alive|te|upgrade , close|x,KEEP-ALIVE)");
    let status =
        prop_oneof![4 => 200u16..204, 1 => 205u16..304, 1 => 305u16..600, 1 => Just(204), 1 => Just(304)];
    let interim = prop::collection::vec(prop_oneof![Just(100u16), Just(102), Just(103), Just(199)], 0..3);
    (interim, prop::bool::weighted(0.1), status, "[ -~]{0,20}", some_fields(), option, body()).prop_map(
        |(interim, old, status, reason, fields, option, body)| {
            let body = match body {
                _ if matches!(status, 204 | 304) => Body::Absent,
                // HTTP/1.0 knows no chunks.
                Body::Chunked { chunks, .. } if old => Body::Length(chunks.concat_bytes()),
                body => body,
            };
            Response { interim, old, status, reason, fields, option, body }
        },
    )
}

trait ConcatBytes {
    fn concat_bytes(self) -> Vec<u8>;
}
impl ConcatBytes for Vec<(Vec<u8>, String)> {
    fn concat_bytes(self) -> Vec<u8> {
        self.into_iter().flat_map(|(chunk, _)| chunk).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn responses_mean_what_they_were_made_to_mean(
        responses in prop::collection::vec(response(), 1..5),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let get = prepare(&template("GET"));
        let mut case = Case::new(config(responses.len() as u32));
        for _ in &responses {
            case.submit(&get, b"", ALL).expect("room");
        }
        case.flush();
        case.log.events.clear();

        let mut expected = Vec::new();
        let mut wire = Vec::new();
        let mut over = false;
        for (n, response) in responses.iter().enumerate() {
            if over {
                // Whoever said `close` (or speaks HTTP/1.0) has not looked at what came after.
                let sure = !matches!(responses[n - 1].body, Body::UntilEof(_)) || said_close(&responses[n - 1]);
                expected.extend((n..responses.len()).map(|i| {
                    format!("failed {i} Peer Closed{}", if sure { " unprocessed" } else { "" })
                }));
                break;
            }
            wire.extend(response.wire());
            expected.extend(response.meaning(n));
            over = response.closes();
        }
        expected.push("closed".into());

        let mut at: Vec<usize> = cuts.iter().map(|i| i.index(wire.len() + 1)).collect();
        at.extend([0, wire.len()]);
        at.sort_unstable();
        for pair in at.windows(2) {
            case.say(&wire[pair[0]..pair[1]]);
        }
        case.eof();
        prop_assert_eq!(case.told(), expected);
    }
}

/// The same without what reading to the end implies.
fn said_close(response: &Response) -> bool {
    Response { body: Body::Absent, ..response.clone() }.closes()
}
