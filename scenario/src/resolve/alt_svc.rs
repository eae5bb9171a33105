//! `alt_svc` of `connections`: who may be listened to, held against the rest of the plan.

use super::targets::Targets;
use crate::reader::{Fields, Reader};

/// What can never come true.
pub(crate) fn check(reader: &mut Reader<'_>, plan: &Fields<'_>, targets: &Targets) {
    let Some(entry) = plan.within("connections", "alt_svc") else { return };
    if !targets.have_alternatives() {
        let message =
            "`alt_svc` leads from HTTP/1.1 and HTTP/2 over TLS to HTTP/3, and no target is spoken to so";
        let label = "use `https://` and `protocol: auto`, `h1` or `h2`, or leave it out";
        reader.problems.add(entry.key_span, message, label);
    }
    if plan.within("connections", "proxy").or(plan.within("connections", "proxy_protocol")).is_some() {
        let message = "`alt_svc` leads to HTTP/3, which does not go through a proxy";
        reader.problems.add(entry.key_span, message, "leave one of the two out");
    }
}
