//! Every bound of the plan parser, with its reason.

use std::time::Duration;

/// Bytes of plan text. Plans are written by people and generators; bulk data belongs in files beside them.
pub const MAX_PLAN_BYTES: usize = 16 * 1024 * 1024;
/// YAML nodes after aliases are written out: an alias bomb ends here.
pub const MAX_NODES: u64 = 1_000_000;
/// Bytes of YAML scalars after aliases are written out: an alias to a large text repeated ends here.
pub const MAX_EXPANDED_BYTES: u64 = 64 * 1024 * 1024;
/// Nesting of the plan: the walk over it recurses.
pub const MAX_DEPTH: u32 = 64;
/// Errors shown in one go: more than a screen helps nobody.
pub const MAX_ERRORS: usize = 20;
/// Entries of `check.status`, ciphers, groups and the like.
pub const MAX_LIST: usize = 100;
/// Scenarios of a plan.
pub const MAX_SCENARIOS: usize = 1_000;
/// Steps of a plan, over all scenarios: each has its own series, a histogram per core.
pub const MAX_STEPS: usize = 10_000;
/// Phases of a plan.
pub const MAX_PHASES: usize = 1_000;
/// Thresholds of a plan.
pub const MAX_THRESHOLDS: usize = 1_000;
/// Different hosts in one plan: each has its own connections.
pub const MAX_TARGETS: usize = 1_000;
/// Characters of a name of a plan, scenario, step or phase: it becomes a column and a label.
pub const MAX_NAME: usize = 100;
/// Tags of a step: a row of a table holds no more.
pub const MAX_TAGS: usize = 20;
/// Bytes of the name of a tag: it becomes a label.
pub const MAX_TAG_NAME: usize = 50;
/// Different tags of a plan, each name with each of its values: each has figures with histograms in the result.
pub const MAX_TAG_VALUES: usize = 100;
/// Header fields of a request: servers refuse more (nginx and Apache: 100).
pub const MAX_HEADERS: usize = 100;
/// Bytes of names and values of a request's header: what an HTTP/2 peer may well refuse.
pub const MAX_HEADER_BYTES: usize = 256 * 1024;
/// Bytes of a path with its query.
pub const MAX_PATH_BYTES: usize = 64 * 1024;
/// Bytes of one body, read from a file or written in the plan: it is kept in memory for the whole run.
pub const MAX_BODY_BYTES: u64 = 256 * 1024 * 1024;
/// Bytes of all body files of a plan.
pub const MAX_ALL_BODY_BYTES: u64 = 1024 * 1024 * 1024;
/// Virtual users of a phase.
pub const MAX_USERS: u64 = 1_000_000;
/// Users at most of a phase with a schedule where neither it nor the connections say how many.
pub const DEFAULT_USERS_MAX: u32 = 100;
/// Probes in a row that the load a search finds must hold: what more would cost an hour.
pub const MAX_CONFIRM: u64 = 100;
/// How near a search comes where the plan says nothing.
pub const DEFAULT_PRECISION: f64 = 0.02;
/// Nearer than that the noise of any server decides.
pub const MIN_PRECISION: f64 = 0.001;
/// A probe of a search: long enough for a percentile, short enough for some thirty of them in CI.
pub const DEFAULT_PROBE: Duration = Duration::from_secs(5);
/// Before it counts: connections, caches and congestion windows are warm after that.
pub const DEFAULT_PROBE_WARM_UP: Duration = Duration::from_secs(1);
/// After it: a server that was overloaded works off its queues.
pub const DEFAULT_SETTLE: Duration = Duration::from_secs(1);
/// Arrivals per second: ten times what any machine sends.
pub const MAX_RATE: f64 = 10_000_000.0;
/// Stairs of a rate.
pub const MAX_STAIRS: u64 = 10_000;
/// Arrivals at a time.
pub const MAX_BURST: u64 = 1_000_000;
/// Arrivals that may wait: 8 bytes each.
pub const MAX_BACKLOG: u64 = 10_000_000;
/// How long an arrival waits for an idle user where the plan says nothing: as long as a request may take.
pub const DEFAULT_BACKLOG: Duration = Duration::from_secs(30);
/// Connections of a run.
pub const MAX_CONNECTIONS: u64 = 1_000_000;
/// Local addresses that connections come from: each is tried before the start.
pub const MAX_SOURCES: usize = 4096;
/// Requests in flight on one connection: HTTP/2 itself allows 2^31, no server does.
pub const MAX_STREAMS: u64 = 100_000;
/// Weight of a scenario: sums of weights stay small integers.
pub const MAX_WEIGHT: u64 = 1_000_000;
/// The longest time that can be written: a deadline stays representable.
pub const MAX_DURATION: Duration = Duration::from_secs(366 * 24 * 3600);
/// Files that a plan includes, each counted once.
pub const MAX_INCLUDED: usize = 100;
/// Files that include each other, one in the other: reading them recurses.
pub const MAX_INCLUDE_DEPTH: usize = 10;
/// Settings given beside the plan (`--set`).
pub const MAX_OVERRIDES: usize = 1_000;
/// Characters of a user's text repeated in a message.
pub const MAX_QUOTED: usize = 60;
/// Characters of what stands beside a caret; what is longer goes below.
pub const MAX_LABEL: usize = 80;
/// Characters of a source line shown in an error.
pub const MAX_SNIPPET: usize = 120;
/// Bytes of an expression.
pub const MAX_EXPRESSION: usize = 4 * 1024;
/// Nesting of an expression: working it out recurses.
pub const MAX_EXPRESSION_DEPTH: u32 = 50;
/// Operators of an expression: working out what is in a row recurses, too.
pub const MAX_OPERATORS: u32 = 300;
/// Bytes of a JSON path.
pub const MAX_PATH: usize = 4 * 1024;
/// Brackets of a JSON path in one another: what is read of it doubles with each filter around it.
pub const MAX_PATH_DEPTH: usize = 8;
/// Bytes of a compiled regular expression.
pub const MAX_REGEX_BYTES: usize = 1024 * 1024;
/// Bytes of a text that an expression makes or a variable holds: thousands of users each have their own.
pub const MAX_TEXT: usize = 1024 * 1024;
/// Parts of a CSS selector with combinators between: a bit of a word each.
pub const MAX_COMPOUNDS: usize = 32;
/// Open HTML elements kept; deeper ones are seen, and their children count as children of the last one kept.
pub const MAX_HTML_DEPTH: usize = 512;
/// Bytes of a cookie's name and value (RFC 6265 section 6.1 asks for at least as much).
pub const MAX_COOKIE_BYTES: usize = 4096;
/// Cookies of a virtual user (RFC 6265 section 6.1: 50 for each domain).
pub const MAX_COOKIES: usize = 50;
/// Bytes of a data file that is kept in memory; of a larger one there is an index.
pub const MAX_DATA_IN_MEMORY: u64 = 8 * 1024 * 1024;
/// Rows of a large data file between two places of its index.
pub const PAGE_ROWS: u64 = 64;
/// Data sources of a plan.
pub const MAX_DATA: usize = 100;
/// Variables of a scenario, data columns included.
pub const MAX_VARIABLES: usize = 1_000;
/// Templates in the path and headers of one request.
pub const MAX_SLOTS: usize = 30;
/// Checks or extractors of one step.
pub const MAX_CHECKS: usize = 50;
/// Bytes of a JSON Schema: compiled it takes some times as much.
pub const MAX_SCHEMA_BYTES: u64 = 1024 * 1024;
/// Nesting of a JSON Schema: compiling it recurses.
pub const MAX_SCHEMA_DEPTH: usize = 64;
/// Schemas that lead from one to the other for the same value (`$ref`, `allOf`): holding a value against them recurses.
pub const MAX_SCHEMA_CHAIN: usize = 50;
/// That many for each level of a body, times the levels: what fits on the stack of a thread, whose 2 MiB are no setting.
pub const MAX_SCHEMA_WORK: usize = 600;
/// Body bytes kept for checks and extractors unless the plan says otherwise (`body_limit`).
pub const BODY_LIMIT: u64 = 1024 * 1024;
/// The largest `body_limit`.
pub const MAX_BODY_LIMIT: u64 = 1024 * 1024 * 1024;
/// Redirects followed unless the plan says otherwise.
pub const REDIRECTS: u64 = 10;
/// The most redirects that can be followed for one step.
pub const MAX_REDIRECTS: u64 = 50;
/// Rounds of a `while` unless the plan says otherwise: a condition that never fails must not hold a user for ever.
pub const WHILE_ROUNDS: u64 = 10_000;
/// Rounds of a `repeat` or a `while`.
pub const MAX_ROUNDS: u64 = 1_000_000_000;
/// Requests of a `parallel` at a time unless the plan says otherwise: as browsers do over HTTP/1.1, for each host.
pub const PARALLEL: u64 = 6;
/// The most of them: each has a request's state of its own.
pub const MAX_PARALLEL: u64 = 100;
/// How long `pause_until` waits unless the plan says otherwise: users that never come must not hold the others for ever.
pub const MEETING_TIMEOUT: Duration = Duration::from_secs(30);
/// Different `pause_until` of a plan.
pub const MAX_MEETINGS: usize = 1_000;
/// Steps that a user takes in one go without a request or a pause: the others wait for the core that long.
pub const MAX_OPS_IN_A_ROW: u32 = 10_000;
/// Tallies of checks where they are kept by phase: 40 bytes each, for each core.
pub const MAX_TALLIES: usize = 1_000_000;
/// Samples of failures kept for each check and core.
pub const MAX_SAMPLES: usize = 3;
/// Replaced values of secret variables, and of cookies, that a user remembers: more than a session that is refreshed has at a time.
pub const PAST_SECRETS: usize = 4;
/// Values of parameters of queries that are masked wherever they appear, and not only in their own query and the response to it: a
/// list of URLs may have a million.
pub const KNOWN_PARAMETERS: usize = 50;
/// Bytes of the shortest value that is masked wherever it appears: shorter ones are in any text.
pub const MIN_SECRET: usize = 4;
/// Likewise of one that the plan writes, where the plan itself is shown.
pub const MIN_KNOWN_SECRET: usize = 6;
/// Bytes of the longest reference of HTML (`&#1114111;`) that is read as the character it stands for.
pub const HTML_REFERENCE: usize = 10;
/// Bytes of the shortest value that is looked for in base64, too: of a shorter one few digits are its own.
pub const MIN_SECRET_IN_BASE64: usize = 6;

/// Characters that are kept of a text to show the plan by: it may put a long one to use very often.
pub const OUTLINE_TEXT: usize = 1000;
/// Elements of a list that are shown of it.
pub const OUTLINE_ELEMENTS: usize = 10;

/// Characters of what was found that a sample shows.
pub const MAX_SAMPLE: usize = 120;
/// Nesting of `if`, `repeat` and the like.
pub const MAX_FLOW_DEPTH: usize = 20;
/// Elements of a list that an extractor makes.
pub const MAX_LIST_VALUES: usize = 10_000;
/// A response buffer larger than this is freed, not kept for the next response.
pub const MAX_POOLED_BUFFER: usize = 256 * 1024;
/// Rows or values of data written in the plan itself.
pub const MAX_ROWS: usize = 100_000;

/// Pauses of a phase are at most so many times as long: more is a typing error.
pub(crate) const MAX_THINK_FACTOR: f64 = 1_000.0;
