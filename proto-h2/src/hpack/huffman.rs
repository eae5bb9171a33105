//! The Huffman code of HPACK (RFC 7541 section 5.2 and appendix B), both ways.
//!
//! The code is canonical: sorted by length and then by symbol, code words count upwards. So the lengths alone define it,
//! and everything else here is computed from them at compile time.

use super::Error;

/// Bits per symbol; the last one is EOS.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

const EOS: usize = 256;
const LONGEST: usize = 30;
/// Bits looked at in one step of decoding. Eleven hold two of the usual symbols (5 to 6 bits each), and the table stays
/// within 8 KiB, a quarter of a first-level cache.
const STEP: u32 = 11;

/// The code words, by symbol.
static CODES: [u32; 257] = CODE.words;
/// What the next [`STEP`] bits begin with.
static STEPS: [Step; 1 << STEP] = steps();
/// Symbols in the order of their code words, for words longer than [`STEP`].
static ORDER: [u16; 257] = CODE.order;

const CODE: Code = code();

struct Code {
    words: [u32; 257],
    order: [u16; 257],
    /// By length: the first word, how many there are, and the place of the first in `order`.
    first: [u32; LONGEST + 1],
    count: [u32; LONGEST + 1],
    place: [u32; LONGEST + 1],
}

/// One or two whole symbols, or none where the first word is longer than [`STEP`] bits.
#[derive(Clone, Copy)]
struct Step {
    symbols: [u8; 2],
    /// Bits of the first symbol; 0 if none.
    first_bits: u8,
    /// Bits of all, and in the upper nibble how many symbols.
    all: u8,
}

const fn code() -> Code {
    let mut c = Code {
        words: [0; 257],
        order: [0; 257],
        first: [0; LONGEST + 1],
        count: [0; LONGEST + 1],
        place: [0; LONGEST + 1],
    };
    let (mut word, mut placed, mut len) = (0u32, 0usize, 1usize);
    while len <= LONGEST {
        c.first[len] = word;
        c.place[len] = placed as u32;
        let mut s = 0;
        while s < 257 {
            if LENGTHS[s] as usize == len {
                c.words[s] = word;
                c.order[placed] = s as u16;
                word += 1;
                placed += 1;
            }
            s += 1;
        }
        c.count[len] = word - c.first[len];
        word <<= 1;
        len += 1;
    }
    assert!(placed == 257);
    c
}

/// The symbol whose word the `bits` upper bits of `window` (counted from bit `width - 1`) begin with.
const fn first_symbol(window: u32, width: u32) -> Option<u16> {
    let mut len = 5;
    while len <= width as usize && len <= LONGEST {
        let offset = (window >> (width - len as u32)).wrapping_sub(CODE.first[len]);
        if offset < CODE.count[len] {
            return Some(CODE.order[(CODE.place[len] + offset) as usize]);
        }
        len += 1;
    }
    None
}

const fn steps() -> [Step; 1 << STEP] {
    let mut t = [Step { symbols: [0; 2], first_bits: 0, all: 0 }; 1 << STEP];
    let mut v = 0;
    while v < t.len() {
        if let Some(a) = first_symbol(v as u32, STEP) {
            let a_bits = LENGTHS[a as usize];
            let rest = STEP - a_bits as u32;
            t[v] = Step { symbols: [a as u8, 0], first_bits: a_bits, all: 0x10 | a_bits };
            if let Some(b) = first_symbol(v as u32 & ((1 << rest) - 1), rest) {
                t[v].symbols[1] = b as u8;
                t[v].all = 0x20 | (a_bits + LENGTHS[b as usize]);
            }
        }
        v += 1;
    }
    t
}

/// Appends the decoded text to `out`. On error what was appended is unspecified.
pub fn decode(src: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let start = out.len();
    // The shortest word has five bits; one more because a step writes two places.
    out.resize(start + src.len() * 8 / 5 + 2, 0);
    let written = decode_into(src, &mut out[start..])?;
    out.truncate(start + written);
    Ok(())
}

fn decode_into(mut src: &[u8], dst: &mut [u8]) -> Result<usize, Error> {
    let (mut acc, mut bits, mut at) = (0u64, 0u32, 0usize); // the upper `bits` of `acc` are still to be decoded
    loop {
        if let Some(word) = src.first_chunk::<8>() {
            acc |= u64::from_be_bytes(*word) >> bits;
            let bytes = (63 - bits) >> 3;
            src = &src[bytes as usize..];
            bits += bytes * 8;
            // What was read beyond `bits` is read again next time: clear it.
            acc &= !(u64::MAX >> bits);
        } else {
            while bits <= 56 {
                let Some((&b, rest)) = src.split_first() else { break };
                acc |= u64::from(b) << (56 - bits);
                bits += 8;
                src = rest;
            }
        }
        if bits < LONGEST as u32 {
            return finish(acc, bits, dst, at);
        }
        while bits >= LONGEST as u32 {
            let step = &STEPS[(acc >> (64 - STEP)) as usize];
            let used = if step.first_bits != 0 {
                dst[at] = step.symbols[0];
                dst[at + 1] = step.symbols[1];
                at += usize::from(step.all >> 4);
                u32::from(step.all & 15)
            } else {
                let (symbol, len) = long_word(acc).ok_or(Error::Huffman)?;
                dst[at] = symbol;
                at += 1;
                len
            };
            acc <<= used;
            bits -= used;
        }
    }
}

/// Decodes the last `bits` (fewer than a longest word). The padding is the beginning of EOS: at most seven ones.
fn finish(mut acc: u64, mut bits: u32, dst: &mut [u8], mut at: usize) -> Result<usize, Error> {
    while bits > 0 {
        // Ones after the end: they continue a padding and complete no shorter word that was not complete.
        let padded = acc | (u64::MAX >> bits);
        let step = &STEPS[(padded >> (64 - STEP)) as usize];
        let word = match step.first_bits {
            0 => long_word(padded),
            n => Some((step.symbols[0], u32::from(n))),
        };
        match word {
            Some((symbol, len)) if len <= bits => {
                dst[at] = symbol;
                at += 1;
                acc <<= len;
                bits -= len;
            }
            _ if bits < 8 && padded == u64::MAX => return Ok(at),
            _ => return Err(Error::Huffman),
        }
    }
    Ok(at)
}

/// The symbol and length of the word at the top of `acc`; none for EOS.
#[cold]
fn long_word(acc: u64) -> Option<(u8, u32)> {
    let window = (acc >> 34) as u32;
    for len in STEP as usize + 1..=LONGEST {
        let offset = (window >> (LONGEST - len)).wrapping_sub(CODE.first[len]);
        if offset < CODE.count[len] {
            let symbol = usize::from(ORDER[(CODE.place[len] + offset) as usize]);
            return (symbol != EOS).then_some((symbol as u8, len as u32));
        }
    }
    None
}

/// How many bytes [`encode`] would append.
pub fn encoded_len(text: &[u8]) -> usize {
    let bits: usize = text.iter().map(|&b| usize::from(LENGTHS[usize::from(b)])).sum();
    bits.div_ceil(8)
}

/// Appends the coded text to `out`.
pub fn encode(text: &[u8], out: &mut Vec<u8>) {
    let (mut acc, mut bits) = (0u64, 0u32);
    for &b in text {
        let len = u32::from(LENGTHS[usize::from(b)]);
        acc = (acc << len) | u64::from(CODES[usize::from(b)]);
        bits += len;
        while bits >= 8 {
            bits -= 8;
            out.push((acc >> bits) as u8);
        }
    }
    if bits > 0 {
        out.push((acc << (8 - bits)) as u8 | (0xff >> bits));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(text: &[u8]) {
        let mut coded = Vec::new();
        encode(text, &mut coded);
        assert_eq!(coded.len(), encoded_len(text));
        let mut back = b"kept".to_vec();
        decode(&coded, &mut back).unwrap();
        assert_eq!(&back[4..], text);
    }

    #[test]
    fn every_pair_of_symbols_comes_back() {
        for a in 0..=255 {
            for b in 0..=255 {
                round(&[a, b]);
            }
        }
    }

    #[test]
    fn every_length_comes_back() {
        let text: Vec<u8> = (0..600u32).map(|i| (i * 7 + i / 256) as u8).collect();
        for n in 0..text.len() {
            round(&text[..n]);
        }
        for n in 0..200 {
            round(&b"www.example.com/a-long/path?with=query".repeat(6)[..n]);
        }
    }

    #[test]
    fn words_of_the_appendix() {
        for (symbol, word, len) in [
            (b'0', 0, 5),
            (b' ', 0x14, 6),
            (b'!', 0x3f8, 10),
            (b'~', 0x1ffd, 13),
            (0xff, 0x3ff_ffee, 26),
            (b'\n', 0x3fff_fffc, 30),
        ] {
            assert_eq!((CODES[usize::from(symbol)], LENGTHS[usize::from(symbol)]), (word, len));
        }
        assert_eq!(CODES[EOS], 0x3fff_ffff);
    }

    #[test]
    fn bad_padding_and_eos_are_refused() {
        let bad: [&[u8]; 7] = [
            &[0xff],                   // eight bits of padding
            &[0x00],                   // "0", then three zeros
            &[0x1f, 0xff],             // a symbol, then more than seven ones
            &[0xff, 0xff, 0xff, 0xff], // EOS and padding
            &[0xff, 0xff, 0xff, 0xfc], // a cut word
            &[0x07, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0xff, 0xff, 0xff, 0xfb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ];
        for b in bad {
            assert_eq!(decode(b, &mut Vec::new()), Err(Error::Huffman), "{b:x?}");
        }
        assert_eq!(decode(&[0x07], &mut Vec::new()), Ok(()));
    }
}
