//! The ways a value is written in other texts: percent-encoded (whichever of its bytes), in a form, in JSON, in HTML.

use crate::limits;

/// Whether a text that begins with this byte may read as a value from its start: most are none, and this is soon said.
#[inline]
pub(super) fn may_begin(byte: u8, value: &[u8]) -> bool {
    Some(&byte) == value.first() || matches!(byte, b'%' | b'\\' | b'&' | b'+' | b' ')
}

/// How much of a text, from its start, reads as a value from its start: bytes of the text, bytes of the value. Where the text
/// ends within what stands for a byte, that counts as read.
pub(super) fn prefix(text: &[u8], value: &[u8]) -> (usize, usize) {
    let (mut at, mut matched) = (0, 0);
    // As it is: what looks like an escape may be a part of it.
    let equal = text.iter().zip(value).take_while(|(a, b)| a == b).count();
    if equal == value.len() || equal == text.len() {
        return (equal, equal);
    }
    while matched < value.len() && at < text.len() {
        let (rest, wanted) = (&text[at..], &value[matched..]);
        match unit(rest) {
            Unit::Bytes(bytes, count, length) if wanted.starts_with(&bytes[..count]) => {
                (at, matched) = (at + length, matched + count);
            }
            Unit::Cut if rest[0] != wanted[0] => return (text.len(), matched),
            // Control characters are shown as blanks.
            _ if rest[0] == wanted[0]
                || (rest[0] == b'+' && wanted[0] == b' ')
                || (rest[0] == b' ' && wanted[0].is_ascii_control()) =>
            {
                (at, matched) = (at + 1, matched + 1);
            }
            _ => break,
        }
    }
    (at, matched)
}

/// What a text begins with.
enum Unit {
    /// Something that stands for so many bytes, and its length.
    Bytes([u8; 4], usize, usize),
    /// What may become that: the text ends in it.
    Cut,
    /// Nothing of this kind.
    Plain,
}

fn unit(text: &[u8]) -> Unit {
    match text[0] {
        b'%' => match hex(&text[1..text.len().min(3)]) {
            Some(byte) if text.len() >= 3 => Unit::Bytes([byte as u8, 0, 0, 0], 1, 3),
            Some(_) if text.len() < 3 => Unit::Cut,
            _ => Unit::Plain,
        },
        b'\\' => json(text),
        b'&' => html(text),
        _ => Unit::Plain,
    }
}

/// `\"`, `\/`, `\u002F`. Pairs of surrogates are not looked at.
fn json(text: &[u8]) -> Unit {
    let byte = match text.get(1) {
        None => return Unit::Cut,
        Some(b'u') => {
            return match hex(&text[2..text.len().min(6)]) {
                Some(code) if text.len() >= 6 => of_code(code, 6),
                Some(_) if text.len() < 6 => Unit::Cut,
                _ => Unit::Plain,
            };
        }
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(b @ (b'"' | b'\\' | b'/')) => *b,
        Some(_) => return Unit::Plain,
    };
    Unit::Bytes([byte, 0, 0, 0], 1, 2)
}

/// `&quot;`, `&#39;`, `&#x27;`.
fn html(text: &[u8]) -> Unit {
    let name = &text[1..text.len().min(limits::HTML_REFERENCE)];
    let Some(end) = name.iter().position(|b| *b == b';') else {
        let open = name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'#');
        return if open && text.len() < limits::HTML_REFERENCE { Unit::Cut } else { Unit::Plain };
    };
    let length = end + 2;
    match &name[..end] {
        b"quot" => of_code(u32::from(b'"'), length),
        b"apos" => of_code(u32::from(b'\''), length),
        b"amp" => of_code(u32::from(b'&'), length),
        b"lt" => of_code(u32::from(b'<'), length),
        b"gt" => of_code(u32::from(b'>'), length),
        [b'#', b'x' | b'X', digits @ ..] if !digits.is_empty() => {
            hex(digits).map_or(Unit::Plain, |code| of_code(code, length))
        }
        [b'#', digits @ ..] => {
            let digits = std::str::from_utf8(digits).ok().and_then(|d| d.parse().ok());
            digits.map_or(Unit::Plain, |code| of_code(code, length))
        }
        _ => Unit::Plain,
    }
}

fn of_code(code: u32, length: usize) -> Unit {
    let Some(char) = char::from_u32(code) else { return Unit::Plain };
    let mut bytes = [0; 4];
    let count = char.encode_utf8(&mut bytes).len();
    Unit::Bytes(bytes, count, length)
}

/// The number in hexadecimal; nothing is 0.
fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |number, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        number.checked_mul(16).map(|n| n + digit)
    })
}

#[cfg(test)]
mod tests {
    use super::prefix;

    #[test]
    fn how_far_a_text_reads_as_a_value() {
        let of = |text: &str, value: &str| prefix(text.as_bytes(), value.as_bytes());
        assert_eq!(of("abc", "abc"), (3, 3));
        assert_eq!(of("abcd", "abc"), (3, 3));
        assert_eq!(of("ab", "abc"), (2, 2));
        assert_eq!(of("abx", "abc"), (2, 2));
        assert_eq!(of("%61b%63x", "abc"), (7, 3));
        assert_eq!(of("a%25", "a%25"), (4, 4), "as it is");
        assert_eq!(of("a%2525x", "a%25x"), (7, 5));
        assert_eq!(of("a%2", "a%25"), (3, 3), "as it is");
        assert_eq!(of("ab%6", "abc"), (4, 2), "it may go on");
        assert_eq!(of("ab%zz", "abc"), (2, 2));
        assert_eq!(of("a+b", "a b"), (3, 3));
        assert_eq!(of("a b", "a\nb"), (3, 3));
        assert_eq!(of(r"a\u00e4\/", "aä/"), (9, 4));
        assert_eq!(of(r"a\ud83d\ude00", "a😀"), (1, 1));
        assert_eq!(of("a&#228;&amp;&x", "aä&&x"), (14, 6));
        assert_eq!(of("a&quo", "a\""), (5, 1));
    }
}
