//! RFC 9204 appendix B, public vectors, a model encoder with a dynamic table, and input that must be refused.
#![allow(clippy::print_stdout)]

mod common;

use common::hex;
use proptest::prelude::*;
use proto_h3::qpack::{self, Decoder, Error};
use std::path::{Path, PathBuf};

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

fn decode(decoder: &mut Decoder, section: &[u8]) -> Result<Fields, Error> {
    let mut out = Fields::new();
    decoder.decode(section, |n, v| out.push((n.to_vec(), v.to_vec())))?;
    Ok(out)
}

fn fields(text: &[(&str, &str)]) -> Fields {
    text.iter().map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec())).collect()
}

#[test]
fn appendix_b() {
    let mut d = Decoder::new(220);
    let got = decode(&mut d, &hex("0000 510b 2f69 6e64 6578 2e68 746d 6c"));
    assert_eq!(got, Ok(fields(&[(":path", "/index.html")])));
    // B.2, byte by byte, with the section there before its entries.
    let section = hex("0381 10 11");
    assert_eq!(decode(&mut d, &section), Err(Error::Blocked));
    for b in hex("3fbd01 c00f 7777 772e 6578 616d 706c 652e 636f 6d c10c 2f73 616d 706c 652f 7061 7468") {
        assert_eq!(decode(&mut d, &section), Err(Error::Blocked));
        d.handle_encoder_stream(&[b]).unwrap();
    }
    let example = [(":authority", "www.example.com"), (":path", "/sample/path")];
    assert_eq!(decode(&mut d, &section), Ok(fields(&example)));
    // B.3 and B.4.
    d.handle_encoder_stream(&hex("4a63 7573 746f 6d2d 6b65 790c 6375 7374 6f6d 2d76 616c 7565")).unwrap();
    d.handle_encoder_stream(&hex("02")).unwrap();
    let section = hex("0500 80 c1 81");
    let example = [(":authority", "www.example.com"), (":path", "/"), ("custom-key", "custom-value")];
    assert_eq!(decode(&mut d, &section), Ok(fields(&example)));
    // B.5 evicts the oldest entry; what B.2 refers to is gone.
    d.handle_encoder_stream(&hex("810d 6375 7374 6f6d 2d76 616c 7565 32")).unwrap();
    assert_eq!(d.inserted(), 5);
    assert_eq!(decode(&mut d, &hex("0600 80")), Ok(fields(&[("custom-key", "custom-value2")])));
    assert_eq!(decode(&mut d, &hex("0381 10 11")), Err(Error::Index));
}

/// The lists of a `.qif` file.
fn lists(text: &str) -> Vec<Fields> {
    let list = |block: &str| {
        let line = |l: &str| {
            let (n, v) = l.split_once('\t').unwrap_or((l, ""));
            (n.as_bytes().to_vec(), v.as_bytes().to_vec())
        };
        block.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).map(line).collect::<Fields>()
    };
    text.split("\n\n").map(list).filter(|l| !l.is_empty()).collect()
}

/// The records of an `.out` file.
fn records(mut bytes: &[u8]) -> Vec<(u64, &[u8])> {
    let mut out = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<12>() {
        let (id, len) = head.split_at(8);
        let (data, rest) = rest.split_at(u32::from_be_bytes(len.try_into().unwrap()) as usize);
        out.push((u64::from_be_bytes(id.try_into().unwrap()), data));
        bytes = rest;
    }
    out
}

/// Decodes a whole file, the encoder stream in pieces of `piece` bytes. Sections may come before their entries.
fn check(lists: &[Fields], out: &[u8], table: usize, piece: usize, name: &str) {
    let mut d = Decoder::new(table);
    let mut waiting: Vec<(u64, &[u8])> = Vec::new();
    let mut seen = 0;
    let mut one = |d: &mut Decoder, id: u64, section: &[u8]| match decode(d, section) {
        Ok(got) => {
            assert_eq!(got, lists[id as usize - 1], "{name}, section {id}");
            seen += 1;
            true
        }
        Err(Error::Blocked) => false,
        Err(e) => panic!("{name}, section {id}: {e}"),
    };
    for (id, data) in records(out) {
        if id != 0 {
            if !one(&mut d, id, data) {
                waiting.push((id, data));
            }
            continue;
        }
        for piece in data.chunks(piece) {
            d.handle_encoder_stream(piece).unwrap_or_else(|e| panic!("{name}: {e}"));
            waiting.retain(|(id, data)| !one(&mut d, *id, data));
        }
    }
    assert!(waiting.is_empty(), "{name}: sections never became decodable");
    assert_eq!(seen, lists.len(), "{name}");
}

#[test]
fn vectors_beside_this_file() {
    let lists = lists(include_str!("data/netbsd.qif"));
    let (plain, dynamic) = (
        &include_bytes!("data/nghttp3.netbsd.out.0.0.0")[..],
        &include_bytes!("data/nghttp3.netbsd.out.4096.100.1")[..],
    );
    for piece in [1, 2, 3, 7, 1000] {
        check(&lists, plain, 0, piece, "netbsd without table");
        check(&lists, dynamic, 4096, piece, "netbsd with table");
    }
}

fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("LOADGEN_VECTORS").map(PathBuf::from);
    let named_one = named.is_some();
    let path = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors"));
    if path.join("qpack").is_dir() {
        return Some(path.join("qpack"));
    }
    assert!(!named_one, "LOADGEN_VECTORS names no folder with qpack in it: {}", path.display());
    println!("SKIPPED: no folder of vectors at {}; set LOADGEN_VECTORS", path.display());
    None
}

#[test]
fn vectors_of_the_folder() {
    let Some(folder) = folder() else { return };
    let (mut files, mut errors) = (0, 0);
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // encoder.base.out.TABLE.BLOCKED.ACK
        let parts: Vec<&str> = name.split('.').collect();
        let Some(out) = parts.iter().position(|p| *p == "out") else { continue };
        let base = parts[out - 1];
        let lists = lists(&std::fs::read_to_string(folder.join(format!("{base}.qif"))).unwrap());
        let bytes = std::fs::read(&path).unwrap();
        for piece in [1, 13, usize::MAX] {
            check(&lists, &bytes, parts[out + 1].parse().unwrap(), piece, &name);
        }
        files += 1;
    }
    for entry in std::fs::read_dir(folder.join("errors")).into_iter().flatten() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert!(fails(&bytes, 4096), "{} must be refused", path.display());
        errors += 1;
    }
    assert!(files > 0);
    println!("{files} files, {errors} errors");
}

/// Whether any record is refused.
fn fails(out: &[u8], table: usize) -> bool {
    let mut d = Decoder::new(table);
    records(out).iter().any(|(id, data)| match id {
        0 => d.handle_encoder_stream(data).is_err(),
        _ => decode(&mut d, data).is_err_and(|e| e != Error::Blocked),
    })
}

#[test]
fn sections_that_must_be_refused() {
    // `inserted` entries of one byte each lie in a table of 4096.
    let rows: &[(&str, u32, &str, Error)] = &[
        ("no prefix", 0, "", Error::Truncated),
        ("cut in the count", 0, "ff", Error::Truncated),
        ("no base", 0, "00", Error::Truncated),
        ("cut in the base", 0, "00ff", Error::Truncated),
        ("base below zero", 0, "0081", Error::Prefix),
        ("base below zero, with entries", 2, "0382", Error::Prefix),
        ("dynamic name where none is needed", 0, "000041", Error::Index),
        ("cut in a literal name", 0, "000027", Error::Truncated),
        ("cut in a value", 0, "00005105 41", Error::Truncated),
        ("no value", 0, "000051", Error::Truncated),
        ("static index 99", 0, "0000ff24", Error::Index),
        ("static name 99", 0, "00005f5400", Error::Index),
        ("dynamic index where none is needed", 1, "000080", Error::Index),
        ("post-base index where none is needed", 1, "000010", Error::Index),
        ("post-base name where none is needed", 1, "00000000", Error::Index),
        ("index beyond the required count", 2, "020011", Error::Index),
        ("post-base beyond the required count", 2, "02008110", Error::Index),
        ("relative index below zero", 2, "030082", Error::Index),
        ("count beyond twice the entries", 1, "ff0200", Error::Prefix),
        ("count that wraps below zero", 0, "ff0100", Error::Prefix),
        ("Huffman padding of zeros", 0, "0000290000", Error::Huffman),
        ("Huffman EOS in a value", 0, "00005184ffffffff", Error::Huffman),
        ("endless integer", 0, "0000ffffffffffffffffffffff", Error::Integer),
        ("length beyond 62 bits", 0, "0000517fffffffffffffffffff7f", Error::Integer),
        ("base beyond 62 bits", 0, "007fffffffffffffffffff7f", Error::Integer),
    ];
    for (name, inserted, section, error) in rows {
        let mut d = Decoder::new(4096);
        d.handle_encoder_stream(&hex("3fe11f")).unwrap();
        for _ in 0..*inserted {
            d.handle_encoder_stream(&hex("416101 62")).unwrap();
        }
        assert_eq!(decode(&mut d, &hex(section)), Err(*error), "{name}");
    }
    let blocked = decode(&mut Decoder::new(4096), &hex("0200 80"));
    assert_eq!(blocked, Err(Error::Blocked));
    // Without a table of ours, any count is an error and not a wait.
    assert_eq!(decode(&mut Decoder::new(0), &hex("0200 80")), Err(Error::Prefix));
}

#[test]
fn instructions_that_must_be_refused() {
    let rows: &[(&str, &str, Error)] = &[
        ("capacity above ours", "3fe21f", Error::Capacity),
        ("insertion without a capacity", "c000", Error::TooLarge),
        ("entry larger than the table", "3f21 c0 3f 00", Error::TooLarge),
        ("string longer than ever fits", "3f21 c0 7fff7f", Error::TooLarge),
        ("static name 99", "3fe11f ff24 00", Error::Index),
        ("dynamic name of nothing", "3fe11f 80 00", Error::Index),
        ("duplicate of nothing", "3fe11f 00", Error::Index),
        ("duplicate of an evicted entry", "3f21 416101 62 20 3f21 00", Error::Index),
        ("Huffman padding of zeros", "3fe11f 6100 00", Error::Huffman),
        ("endless integer", "3fe11f 3fffffffffffffffffffff", Error::Integer),
    ];
    for (name, bytes, error) in rows {
        let bytes = hex(bytes);
        for piece in [1, 2, bytes.len()] {
            let mut d = Decoder::announcing(4096);
            let result = bytes.chunks(piece).try_for_each(|p| d.handle_encoder_stream(p));
            // "entry larger than the table" needs its bytes.
            let result = match *name {
                "entry larger than the table" => result.and_then(|()| d.handle_encoder_stream(&[b'x'; 63])),
                _ => result,
            };
            assert_eq!(result, Err(*error), "{name}, pieces of {piece}");
        }
    }
}

/// An encoder that uses the dynamic table in every way there is.
#[derive(Default)]
struct Model {
    capacity: usize,
    entries: std::collections::VecDeque<(Vec<u8>, Vec<u8>)>,
    /// Absolute index of the oldest entry.
    oldest: u64,
    stream: Vec<u8>,
}

#[derive(Clone, Debug)]
enum Op {
    Capacity(u16),
    Insert {
        name: u8,
        value: Vec<u8>,
        reference: bool,
    },
    Duplicate(u8),
    /// Lines of a section: which entry or literal, and whether post-base.
    Section(Vec<(u8, u8)>, u8),
}

fn put(out: &mut Vec<u8>, tag: u8, prefix: u32, value: u64) {
    let mask = 0xff_u8 >> (8 - prefix);
    if value < u64::from(mask) {
        return out.push(tag | value as u8);
    }
    out.push(tag | mask);
    let mut rest = value - u64::from(mask);
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn put_text(out: &mut Vec<u8>, tag: u8, prefix: u32, text: &[u8]) {
    put(out, tag, prefix, text.len() as u64);
    out.extend_from_slice(text);
}

impl Model {
    fn inserted(&self) -> u64 {
        self.oldest + self.entries.len() as u64
    }
    fn size(&self) -> usize {
        self.entries.iter().map(|(n, v)| n.len() + v.len() + 32).sum()
    }
    fn evict(&mut self, room: usize) {
        while self.size() + room > self.capacity && self.entries.pop_front().is_some() {
            self.oldest += 1;
        }
    }
    fn push(&mut self, name: Vec<u8>, value: Vec<u8>) {
        self.evict(name.len() + value.len() + 32);
        self.entries.push_back((name, value));
    }
    fn fits(&self, name: &[u8], value: &[u8]) -> bool {
        name.len() + value.len() + 32 <= self.capacity
    }

    fn apply(&mut self, op: &Op) -> Option<(Vec<u8>, Fields)> {
        match op {
            Op::Capacity(c) => {
                self.capacity = usize::from(*c) % 600;
                put(&mut self.stream, 0x20, 5, self.capacity as u64);
                self.evict(0);
            }
            Op::Insert { name, value, reference } => {
                let n = self.entries.len();
                if *reference && n > 0 {
                    let back = usize::from(*name) % n;
                    let name = self.entries[n - 1 - back].0.clone();
                    if self.fits(&name, value) {
                        put(&mut self.stream, 0x80, 6, back as u64);
                        put_text(&mut self.stream, 0, 7, value);
                        self.push(name, value.clone());
                    }
                } else {
                    let name = vec![b'a' + name % 26; usize::from(name % 5) + 1];
                    if self.fits(&name, value) {
                        put_text(&mut self.stream, 0x40, 5, &name);
                        put_text(&mut self.stream, 0, 7, value);
                        self.push(name, value.clone());
                    }
                }
            }
            Op::Duplicate(back) => {
                let n = self.entries.len();
                if n > 0 {
                    let back = usize::from(*back) % n;
                    put(&mut self.stream, 0, 5, back as u64);
                    let (name, value) = self.entries[n - 1 - back].clone();
                    self.push(name, value);
                }
            }
            Op::Section(lines, base) => return Some(self.section(lines, *base)),
        }
        None
    }

    fn section(&self, lines: &[(u8, u8)], base: u8) -> (Vec<u8>, Fields) {
        let (mut out, mut expected) = (Vec::new(), Fields::new());
        let required = self.inserted();
        let base = required.saturating_sub(u64::from(base) % 8).max(self.oldest);
        if self.entries.is_empty() {
            out.extend([0, 0]);
        } else {
            let range = 2 * (4096 / 32);
            put(&mut out, 0, 8, required % range + 1);
            if base == required { out.push(0) } else { put(&mut out, 0x80, 7, required - base - 1) }
        }
        for (which, how) in lines {
            let value = vec![*which; usize::from(*how % 7)];
            if self.entries.is_empty() || how % 4 == 3 {
                let name = vec![b'a' + which % 26];
                put_text(&mut out, 0x20, 3, &name);
                put_text(&mut out, 0, 7, &value);
                expected.push((name, value));
                continue;
            }
            let place = usize::from(*which) % self.entries.len();
            let absolute = self.oldest + place as u64;
            let entry = self.entries[place].clone();
            let whole = how % 2 == 0;
            match (absolute < base, whole) {
                (true, true) => put(&mut out, 0x80, 6, base - absolute - 1),
                (true, false) => put(&mut out, 0x40, 4, base - absolute - 1),
                (false, true) => put(&mut out, 0x10, 4, absolute - base),
                (false, false) => put(&mut out, 0x00, 3, absolute - base),
            }
            if whole {
                expected.push(entry);
            } else {
                put_text(&mut out, 0, 7, &value);
                expected.push((entry.0, value));
            }
        }
        (out, expected)
    }
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        1 => any::<u16>().prop_map(Op::Capacity),
        6 => (any::<u8>(), prop::collection::vec(any::<u8>(), 0..40), any::<bool>())
            .prop_map(|(name, value, reference)| Op::Insert { name, value, reference }),
        2 => any::<u8>().prop_map(Op::Duplicate),
        4 => (prop::collection::vec(any::<(u8, u8)>(), 0..8), any::<u8>()).prop_map(|(l, b)| Op::Section(l, b)),
    ]
}

proptest! {
    #[test]
    fn a_dynamic_table_in_all_its_uses(ops in prop::collection::vec(op(), 0..150), piece in 1usize..20) {
        let (mut model, mut d) = (Model::default(), Decoder::new(4096));
        for op in [Op::Capacity(500)].iter().chain(&ops) {
            let section = model.apply(op);
            for p in std::mem::take(&mut model.stream).chunks(piece) {
                d.handle_encoder_stream(p).unwrap();
            }
            prop_assert_eq!(d.inserted(), model.inserted());
            if let Some((bytes, expected)) = section {
                prop_assert_eq!(decode(&mut d, &bytes), Ok(expected));
            }
        }
    }

    #[test]
    fn what_we_write_comes_back(list in prop::collection::vec(
        (prop::collection::vec(any::<u8>(), 0..30), prop::collection::vec(any::<u8>(), 0..300), any::<bool>()), 0..20)
    ) {
        let mut section = Vec::new();
        qpack::put_prefix(&mut section);
        for (name, value, never) in &list {
            qpack::put_field(&mut section, *never, name, value);
        }
        let expected: Fields = list.into_iter().map(|(n, v, _)| (n, v)).collect();
        prop_assert_eq!(decode(&mut Decoder::new(0), &section), Ok(expected));
    }

    #[test]
    fn any_bytes_are_taken_or_refused(
        stream in prop::collection::vec(any::<u8>(), 0..200),
        section in prop::collection::vec(any::<u8>(), 0..200),
        piece in 1usize..50,
    ) {
        let (mut whole, mut cut) = (Decoder::new(4096), Decoder::new(4096));
        let one = whole.handle_encoder_stream(&stream);
        let two = stream.chunks(piece).try_for_each(|p| cut.handle_encoder_stream(p));
        prop_assert_eq!(one, two);
        if one.is_ok() {
            prop_assert_eq!(decode(&mut whole, &section), decode(&mut cut, &section));
        }
    }
}
