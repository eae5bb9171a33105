//! The words of the plan language: which keys are legal where, which ones will be, and which one was meant.

/// A map of the plan and its keys.
#[derive(Debug)]
pub(crate) struct Place {
    /// How the place is called in messages.
    pub name: &'static str,
    /// What may be written there.
    pub keys: &'static [&'static str],
    /// What is part of the language but not built yet.
    pub later: &'static [&'static str],
}

pub(crate) const PLAN: Place = Place {
    name: "the plan",
    keys: &[
        "version",
        "name",
        "target",
        "protocol",
        "tls",
        "connections",
        "http2",
        "http3",
        "timeouts",
        "defaults",
        "scenarios",
        "phases",
        "thresholds",
        "variables",
        "data",
        "fragments",
        "search",
        "seed",
        "setup",
        "teardown",
        "include",
        "tags",
    ],
    later: &["on_agent_loss"],
};

pub(crate) const TLS: Place = Place {
    name: "tls",
    keys: &[
        "verify",
        "insecure",
        "ca",
        "sni",
        "ciphers",
        "groups",
        "resumption",
        "early_data",
        "cert",
        "key",
        "min_version",
        "max_version",
        "alpn",
    ],
    later: &["keylog"],
};

pub(crate) const CONNECTIONS: Place = Place {
    name: "connections",
    keys: &[
        "max",
        "streams",
        "share",
        "keep_alive",
        "requests_per_connection",
        "lifetime",
        "mix",
        "ramp_up",
        "family",
        "source",
        "connect_to",
        "resolve",
        "proxy",
        "proxy_protocol",
        "socket",
        "alt_svc",
    ],
    later: &[],
};

pub(crate) const MIX: Place = Place { name: "mix", keys: &["fresh", "resumed", "early_data"], later: &[] };

pub(crate) const PROXY_PROTOCOL: Place =
    Place { name: "proxy_protocol", keys: &["version", "source"], later: &[] };

pub(crate) const SOCKET: Place = Place {
    name: "socket",
    keys: &[
        "nodelay",
        "quickack",
        "send_buffer",
        "receive_buffer",
        "busy_poll",
        "congestion",
        "device",
        "mark",
        "dscp",
        "local_ports",
    ],
    later: &[],
};

pub(crate) const HTTP2: Place = Place {
    name: "http2",
    keys: &[
        "stream_window_bits",
        "connection_window_bits",
        "max_frame_size",
        "header_table_size",
        "encoder_header_table_size",
    ],
    later: &[],
};

pub(crate) const HTTP3: Place = Place {
    name: "http3",
    keys: &[
        "stream_window_bits",
        "connection_window_bits",
        "header_table_size",
        "congestion",
        "initial_rtt",
        "max_udp_payload",
        "segmentation",
    ],
    later: &["idle_timeout", "qlog"],
};

pub(crate) const TIMEOUTS: Place = Place {
    name: "timeouts",
    keys: &["connect", "handshake", "request", "idle", "active", "inactive"],
    later: &[],
};

pub(crate) const DEFAULTS: Place = Place {
    name: "defaults",
    keys: &[
        "timeout",
        "headers",
        "redirects",
        "follow_redirects",
        "cookies",
        "body_limit",
        "compression",
        "auth",
        "lifetime",
        "on_error",
        "tags",
    ],
    later: &["check"],
};

pub(crate) const SCENARIO: Place = Place {
    name: "a scenario",
    keys: &[
        "weight",
        "steps",
        "variables",
        "cookies",
        "redirects",
        "follow_redirects",
        "body_limit",
        "compression",
        "auth",
        "lifetime",
        "on_error",
        "phases",
        "start_after",
        "tags",
        "target",
        "protocol",
        "headers",
        "timeout",
    ],
    later: &["defaults", "setup", "teardown"],
};

/// Keys of a step that say what it does.
pub(crate) const METHODS: &[&str] = &["get", "head", "post", "put", "patch", "delete", "options"];

pub(crate) const STEP: Place = Place {
    name: "a step",
    keys: &[
        "get",
        "head",
        "post",
        "put",
        "patch",
        "delete",
        "options",
        "request",
        "name",
        "headers",
        "body",
        "json",
        "form",
        "multipart",
        "file",
        "check",
        "timeout",
        "extract",
        "query",
        "auth",
        "cookies",
        "redirects",
        "follow_redirects",
        "compression",
        "body_limit",
        "tags",
        "protocol",
    ],
    later: &["expect_continue", "chunked"],
};

/// Keys that make a step something else than a request, and what goes with each.
pub(crate) const FLOW: &[(&str, Place)] = &[
    ("think", Place { name: "think", keys: &["think"], later: &[] }),
    ("set", Place { name: "set", keys: &["set"], later: &[] }),
    ("group", Place { name: "group", keys: &["group", "steps", "tags"], later: &[] }),
    ("repeat", Place { name: "repeat", keys: &["repeat", "steps"], later: &[] }),
    ("while", Place { name: "while", keys: &["while", "steps", "at_most"], later: &[] }),
    ("if", Place { name: "if", keys: &["if", "then", "else"], later: &[] }),
    ("choose", Place { name: "choose", keys: &["choose"], later: &[] }),
    ("parallel", Place { name: "parallel", keys: &["parallel", "max"], later: &[] }),
    ("pause_until", Place { name: "pause_until", keys: &["pause_until"], later: &[] }),
    ("use", Place { name: "use", keys: &["use", "with"], later: &[] }),
    ("fail", Place { name: "fail", keys: &["fail"], later: &[] }),
    ("log", Place { name: "log", keys: &["log"], later: &[] }),
];

pub(crate) const CHOICE: Place = Place { name: "a choice", keys: &["weight", "steps"], later: &[] };

pub(crate) const FRAGMENT: Place = Place { name: "a fragment", keys: &["parameters", "steps"], later: &[] };

/// What `pause_until` waits for.
pub(crate) const MEETING: Place =
    Place { name: "pause_until", keys: &["users", "timeout", "name", "at_timeout"], later: &[] };

/// A file that a plan includes: no part of the schema, which is that of plans.
pub(crate) const INCLUDED: Place =
    Place { name: "an included file", keys: &["version", "fragments", "include"], later: &[] };

pub(crate) const THINK: Place =
    Place { name: "think", keys: &["normal", "deviation", "exponential"], later: &[] };

pub(crate) const DATA: Place = Place {
    name: "a data source",
    keys: &["file", "format", "delimiter", "columns", "rows", "values", "range", "order", "at_end"],
    later: &[],
};

/// Where an extractor takes its value from.
pub(crate) const EXTRACT_FROM: &[&str] = &["json", "header", "regex", "css", "cookie", "body"];

pub(crate) const EXTRACT: Place = Place {
    name: "an extractor",
    keys: &[
        "json",
        "header",
        "regex",
        "css",
        "cookie",
        "body",
        "group",
        "attribute",
        "pick",
        "default",
        "required",
    ],
    later: &[],
};

pub(crate) const AUTH: Place = Place { name: "auth", keys: &["basic", "bearer", "aws"], later: &[] };

pub(crate) const AWS: Place = Place {
    name: "aws",
    keys: &["access_key", "secret_key", "session_token", "region", "service"],
    later: &[],
};

pub(crate) const BASIC: Place = Place { name: "basic", keys: &["user", "password"], later: &[] };

pub(crate) const PART: Place =
    Place { name: "a part", keys: &["value", "file", "filename", "content_type"], later: &[] };

/// What a value is held against.
pub(crate) const TEST: Place = Place {
    name: "a test",
    keys: &["exists", "equals", "includes", "matches", "compare", "attribute"],
    later: &[],
};

pub(crate) const REQUEST: Place = Place { name: "request", keys: &["method", "path"], later: &[] };

pub(crate) const CHECK: Place = Place {
    name: "check",
    keys: &[
        "status",
        "name",
        "time",
        "body_includes",
        "body_equals",
        "body_matches",
        "body_size",
        "body_sha256",
        "header_exists",
        "header_equals",
        "header_includes",
        "header_matches",
        "headers",
        "body",
        "json",
        "css",
        "cookie",
        "protocol",
        "json_schema",
    ],
    later: &["tags"],
};

pub(crate) const PHASE: Place = Place {
    name: "a phase",
    keys: &[
        "name",
        "users",
        "rate",
        "handshakes",
        "hold",
        "arrivals",
        "stairs",
        "replay",
        "users_max",
        "backlog",
        "for",
        "iterations",
        "iterations_per_user",
        "record",
        "graceful_stop",
        "scenarios",
        "think",
    ],
    later: &["stages", "start_after", "seed", "connections"],
};

pub(crate) const BACKLOG: Place = Place { name: "backlog", keys: &["time", "number"], later: &[] };

pub(crate) const REPLAY: Place = Place { name: "replay", keys: &["file", "speed"], later: &["format"] };

pub(crate) const THRESHOLD: Place = Place { name: "a threshold", keys: &["that", "abort_after"], later: &[] };

pub(crate) const SEARCH: Place = Place {
    name: "search",
    keys: &[
        "highest",
        "while",
        "from",
        "to",
        "confirm",
        "precision",
        "probe",
        "warm_up",
        "settle",
        "at_least",
        "arrivals",
        "users_max",
        "backlog",
    ],
    later: &[],
};

pub(crate) const ALL: &[&Place] = &[
    &PLAN,
    &TLS,
    &CONNECTIONS,
    &PROXY_PROTOCOL,
    &SOCKET,
    &HTTP2,
    &HTTP3,
    &TIMEOUTS,
    &DEFAULTS,
    &SCENARIO,
    &STEP,
    &REQUEST,
    &CHECK,
    &PHASE,
    &BACKLOG,
    &REPLAY,
    &THRESHOLD,
    &SEARCH,
    &DATA,
    &EXTRACT,
    &TEST,
];

impl Place {
    /// What to say beside a key that is not legal here.
    pub fn advice(&self, key: &str) -> String {
        if let Some(meant) = nearest(key, self.keys) {
            return format!("did you mean `{meant}`?");
        }
        if let Some(meant) = nearest(key, self.later) {
            return format!("did you mean `{meant}`? It is not supported yet");
        }
        if let Some(other) = ALL.iter().find(|p| p.keys.contains(&key)) {
            return format!("`{key}` belongs in {}", other.name);
        }
        format!("{} takes {}", self.name, list(self.keys))
    }
}

/// The word that was probably meant: near in spelling, or the same but for case and `-` for `_`.
pub(crate) fn nearest<'a>(word: &str, words: &[&'a str]) -> Option<&'a str> {
    if word.len() > 64 {
        return None;
    }
    let word = word.to_lowercase().replace(['-', ' '], "_");
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    words
        .iter()
        .map(|candidate| {
            (strsim::osa_distance(&word, &candidate.to_lowercase().replace(['-', ' '], "_")), *candidate)
        })
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `a`, `b` or `c`, at most a line of them.
pub(crate) fn list(words: &[&str]) -> String {
    let mut text = String::new();
    for (i, word) in words.iter().enumerate() {
        if i == 20 {
            text.push_str(", ...");
            break;
        }
        text.push_str(match i {
            0 => "",
            i if i + 1 == words.len() => " or ",
            _ => ", ",
        });
        text.push_str(&crate::source::quote(word));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word() {
        assert_eq!(nearest("scenarois", PLAN.keys), Some("scenarios"));
        assert_eq!(nearest("keepalive", CONNECTIONS.keys), Some("keep_alive"));
        assert_eq!(nearest("keep-alive", CONNECTIONS.keys), Some("keep_alive"));
        assert_eq!(nearest("GET", STEP.keys), Some("get"));
        assert_eq!(nearest("zzz", PLAN.keys), None);
        assert_eq!(nearest("x", &["a", "b"]), None, "a letter resembles every other");
    }

    #[test]
    fn no_word_is_both_legal_and_missing() {
        for place in ALL {
            assert!(place.keys.iter().all(|k| !place.later.contains(k)), "{}", place.name);
        }
    }

    #[test]
    fn a_key_of_another_place_is_sent_there() {
        assert_eq!(PLAN.advice("headers"), "`headers` belongs in defaults");
        assert_eq!(
            TIMEOUTS.advice("zzzz"),
            "timeouts takes `connect`, `handshake`, `request`, `idle`, `active` or `inactive`"
        );
    }
}
