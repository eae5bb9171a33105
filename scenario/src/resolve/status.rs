//! Which statuses pass a check: `200`, `[200, 302]`, `2xx`, `200..299`.

use crate::limits;
use crate::plan::StatusSet;
use crate::reader::Reader;
use crate::source::quote;
use crate::tree::{Entry, Kind, Node};

/// Reads `status`.
pub(crate) fn read(reader: &mut Reader<'_>, entry: &Entry) -> Option<StatusSet> {
    let mut ranges = Vec::new();
    match &entry.value.kind {
        Kind::List(_) => {
            for item in reader.list(entry, "statuses", limits::MAX_LIST)? {
                ranges.push(one(reader, item)?);
            }
        }
        Kind::Scalar { .. } if !entry.value.is_null() => ranges.push(one(reader, &entry.value)?),
        _ => return reader.mismatch(entry, "a status, a list of them, a class such as `2xx` or a range"),
    }
    Some(StatusSet(ranges))
}

fn one(reader: &mut Reader<'_>, node: &Node) -> Option<(u16, u16)> {
    match node.as_text().and_then(parse) {
        Some(range) => Some(range),
        None => {
            let found = node.as_text().map_or_else(|| Reader::found(node), quote);
            reader.fail(node.span, format!("{found} is not a status"), "write `200`, `2xx` or `200..299`")
        }
    }
}

/// One status, class or range.
fn parse(text: &str) -> Option<(u16, u16)> {
    let code = |text: &str| match text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit()) {
        true => text.parse::<u16>().ok().filter(|n| *n >= 100),
        false => None,
    };
    if let Some((low, high)) = text.split_once("..") {
        let (low, high) = (code(low.trim())?, code(high.trim())?);
        return (low <= high).then_some((low, high));
    }
    if let Some(class) = text.to_ascii_lowercase().strip_suffix("xx") {
        let class = class.parse::<u16>().ok().filter(|c| (1..=9).contains(c))?;
        return Some((class * 100, class * 100 + 99));
    }
    code(text).map(|n| (n, n))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn statuses() {
        assert_eq!(parse("200"), Some((200, 200)));
        assert_eq!(parse("2xx"), Some((200, 299)));
        assert_eq!(parse("4XX"), Some((400, 499)));
        assert_eq!(parse("200..299"), Some((200, 299)));
        assert_eq!(parse("999"), Some((999, 999)));
        for bad in
            ["", "20", "2000", "0200", "+20", "099", "0xx", "xx", "10xx", "300..200", "200..", "2x", "ok"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
