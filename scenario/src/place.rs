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
    ],
    later: &[
        "variables",
        "data",
        "setup",
        "teardown",
        "include",
        "fragments",
        "search",
        "tags",
        "on_agent_loss",
    ],
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
        "cert",
        "key",
        "min_version",
        "max_version",
        "alpn",
    ],
    later: &["keylog", "early_data"],
};

pub(crate) const CONNECTIONS: Place = Place {
    name: "connections",
    keys: &[
        "max",
        "streams",
        "share",
        "keep_alive",
        "requests_per_connection",
        "ramp_up",
        "family",
        "source",
        "connect_to",
        "resolve",
        "proxy",
        "proxy_protocol",
        "socket",
    ],
    later: &["mix", "lifetime", "rate"],
};

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
    later: &["early_data", "idle_timeout", "qlog"],
};

pub(crate) const TIMEOUTS: Place = Place {
    name: "timeouts",
    keys: &["connect", "handshake", "request", "idle", "active", "inactive"],
    later: &[],
};

pub(crate) const DEFAULTS: Place = Place {
    name: "defaults",
    keys: &["timeout", "headers"],
    later: &[
        "follow_redirects",
        "redirects",
        "cookies",
        "body_limit",
        "compression",
        "auth",
        "check",
        "tags",
    ],
};

pub(crate) const SCENARIO: Place = Place {
    name: "a scenario",
    keys: &["weight", "steps"],
    later: &["phases", "variables", "defaults", "cookies", "tags", "setup", "teardown", "start_after"],
};

/// Keys of a step that say what it does.
pub(crate) const METHODS: &[&str] = &["get", "head", "post", "put", "patch", "delete", "options"];

pub(crate) const STEP: Place = Place {
    name: "a step",
    keys: &[
        "get", "head", "post", "put", "patch", "delete", "options", "request", "name", "headers", "body",
        "json", "form", "file", "check", "timeout",
    ],
    later: &[
        "think",
        "set",
        "group",
        "repeat",
        "while",
        "if",
        "else",
        "choose",
        "parallel",
        "pause_until",
        "fail",
        "log",
        "extract",
        "query",
        "auth",
        "cookies",
        "redirects",
        "follow_redirects",
        "compression",
        "protocol",
        "multipart",
        "tags",
        "body_limit",
        "steps",
        "include",
        "expect_continue",
        "chunked",
    ],
};

pub(crate) const REQUEST: Place = Place { name: "request", keys: &["method", "path"], later: &["query"] };

pub(crate) const CHECK: Place = Place {
    name: "check",
    keys: &["status"],
    later: &[
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
        "json_path",
        "json_schema",
        "css",
        "cookie",
        "protocol",
        "size",
    ],
};

pub(crate) const PHASE: Place = Place {
    name: "a phase",
    keys: &[
        "name",
        "users",
        "rate",
        "arrivals",
        "stairs",
        "replay",
        "users_max",
        "backlog",
        "for",
        "iterations",
        "iterations_per_user",
        "record",
    ],
    later: &["stages", "graceful_stop", "start_after", "scenarios", "seed", "connections", "think"],
};

pub(crate) const BACKLOG: Place = Place { name: "backlog", keys: &["time", "number"], later: &[] };

pub(crate) const REPLAY: Place = Place { name: "replay", keys: &["file", "speed"], later: &["format"] };

pub(crate) const THRESHOLD: Place = Place { name: "a threshold", keys: &["that", "abort_after"], later: &[] };

const ALL: &[&Place] = &[
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
