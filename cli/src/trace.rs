//! `--trace`: the first requests and responses as a person would like to read them. Secrets are masked, bodies are cut.

use engine::Exchange;
use proto::{Framing, Piece, Text};
use scenario::Plan;
use scenario::plan::Step;
use scenario::secret::{MASK, Secrets, in_query, is_credential, is_field, mask_query};
use std::fmt::Write as _;

/// One exchange: `>` before lines of the request, `<` before lines of the response, `*` before what is neither. `known` are the
/// secrets of the plan, which are worked out over all of its steps.
pub fn render(core: usize, exchange: &Exchange, plan: &Plan, known: &Secrets) -> String {
    let mut out = String::new();
    let at = exchange.began.as_secs_f64() * 1e3;
    let _ = writeln!(
        out,
        "* request {} of thread #{core}, on its connection {}, {at:.3} ms into the run",
        exchange.number + 1,
        exchange.connection
    );
    let step = plan.steps().nth(exchange.step).map(|(_, step)| step);
    let mut secrets = secrets(step, exchange);
    secrets.merge(known.clone());
    if let Some(step) = step {
        request(&mut out, step, exchange, &secrets);
    }
    response(&mut out, exchange, &secrets);
    exchange.notes.iter().for_each(|note| {
        let _ = writeln!(out, "* {}", printable(secrets.mask_text(note).as_bytes()));
    });
    out.push('\n');
    out
}

/// What is known to be secret of it: the values of secret fields of both sides too, for servers send back what they were sent.
fn secrets(step: Option<&Step>, exchange: &Exchange) -> Secrets {
    let mut secrets = exchange.secrets.clone();
    let fields = step.map_or(&[][..], |step| step.template.fields());
    for field in fields.iter().filter(|field| is_credential(field)) {
        secrets.add_field(&field.name, &filled(&field.value, &exchange.values).unwrap_or_default());
    }
    for value in step.into_iter().flat_map(|step| in_query(step.template.path())) {
        secrets.add_parameter(&filled(&value, &exchange.values).unwrap_or_default());
    }
    for (name, value) in &exchange.fields {
        let name = String::from_utf8_lossy(name);
        if is_field(&name) {
            secrets.add_field(&name, value);
        }
    }
    secrets
}

fn request(out: &mut String, step: &Step, exchange: &Exchange, secrets: &Secrets) {
    let t = &step.template;
    let shown = |text: &Text| match filled(text, &exchange.values) {
        Some(value) => printable(&secrets.mask(&value, false)),
        None => "(made for each request)".into(),
    };
    let _ = match &exchange.redirected {
        None => writeln!(out, "> {} {}", t.method(), mask_query(&shown(t.path()))),
        Some(path) => {
            let path = printable(&secrets.mask(path, false));
            writeln!(out, "> {}  (a redirect is followed)", mask_query(&path))
        }
    };
    let _ = writeln!(out, "> host: {}", shown(t.authority()));
    for field in t.fields() {
        let value = if is_credential(field) { MASK.to_owned() } else { shown(&field.value) };
        let _ = writeln!(out, "> {}: {value}", field.name);
    }
    match t.framing() {
        Framing::Length => {
            let len = exchange.sent.as_ref().map_or(step.body.len() as u64, |(_, len)| *len);
            let _ = writeln!(out, "> content-length: {len}");
        }
        Framing::Chunked => {
            let _ = writeln!(out, "> (the length of the body is not said before)");
        }
        Framing::None => {}
    }
    let (bytes, len) = match &exchange.sent {
        Some((bytes, len)) => (&bytes[..], *len),
        None => (&step.body[..], step.body.len() as u64),
    };
    body(out, '>', &bytes[..bytes.len().min(EXCERPT)], len, secrets);
}

/// As much of our own body as the engine keeps of the server's.
const EXCERPT: usize = 1024;

fn response(out: &mut String, exchange: &Exchange, secrets: &Secrets) {
    let ms = |d: Option<std::time::Duration>| d.map_or(0.0, |d| d.as_secs_f64() * 1e3);
    if let Some(status) = exchange.status {
        let _ = writeln!(out, "< {status}  (after {:.3} ms)", ms(exchange.first_byte));
    }
    for (name, value) in &exchange.fields {
        let name = printable(name);
        let value = if is_field(&name) { MASK.to_owned() } else { printable(&secrets.mask(value, false)) };
        let _ = writeln!(out, "< {name}: {value}");
    }
    body(out, '<', &exchange.body, exchange.body_len, secrets);
    let _ = match (&exchange.error, exchange.took) {
        (Some(error), _) => writeln!(out, "* failed after {:.3} ms: {error}", ms(exchange.took)),
        (None, Some(_)) => writeln!(out, "* complete after {:.3} ms", ms(exchange.took)),
        (None, None) => writeln!(out, "* the run ended before the response was complete"),
    };
}

fn body(out: &mut String, side: char, bytes: &[u8], len: u64, secrets: &Secrets) {
    if len == 0 {
        return;
    }
    let _ = writeln!(out, "{side}");
    let binary = bytes.iter().filter(|b| b.is_ascii_control() && !b.is_ascii_whitespace()).count();
    if bytes.is_empty() || binary * 10 > bytes.len() {
        let _ = writeln!(out, "{side} ({len} bytes)");
        return;
    }
    let cut = (bytes.len() as u64) < len;
    for line in String::from_utf8_lossy(&secrets.mask(bytes, cut)).lines() {
        let _ = writeln!(out, "{side} {}", printable(line.as_bytes()));
    }
    if cut {
        let _ = writeln!(out, "{side} ... ({len} bytes in all)");
    }
}

/// A text of the template with the values of its slots, if they are known.
fn filled(text: &Text, values: &[Vec<u8>]) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    for piece in text.pieces() {
        all.extend_from_slice(match piece {
            Piece::Literal(bytes) => bytes,
            Piece::Slot(slot) => values.get(usize::from(*slot))?,
        });
    }
    Some(all)
}

/// A server's bytes must not move the cursor.
fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::tests::typed;
    use crate::job::Job;
    use std::time::Duration;

    #[test]
    fn secrets_are_masked_and_the_terminal_is_safe() {
        let cli =
            typed("--h1 -H authorization:sesame -H x-a:b -H cookie:sid=1 --body hello http://h/p?q").unwrap();
        let plan = Job::from_args(&cli.run).unwrap().plan;
        let exchange = Exchange {
            status: Some(200),
            fields: vec![
                (b"Set-Cookie".to_vec(), b"sid=secret; path=/".to_vec()),
                (b"x-b".to_vec(), b"\x1b[2Jred".to_vec()),
            ],
            body: b"line 1\nline 2: secret sesa".to_vec(),
            body_len: 4000,
            first_byte: Some(Duration::from_micros(1500)),
            took: Some(Duration::from_micros(2500)),
            ..Exchange::default()
        };
        let text = render(0, &exchange, &plan, &plan.secrets());
        for part in [
            "> POST /p?q\n> host: h\n",
            "> authorization: ***\n",
            "> cookie: ***\n",
            "> x-a: b\n",
            "> content-length: 5\n>\n> hello\n",
            "< 200  (after 1.500 ms)\n< Set-Cookie: ***\n",
            "< line 1\n< line 2: *** ***\n< ... (4000 bytes in all)\n* complete after 2.500 ms\n",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(
            !text.contains("sesa")
                && !text.contains("secret")
                && !text.contains("sid=")
                && !text.contains('\x1b'),
            "{text}"
        );
    }
}
