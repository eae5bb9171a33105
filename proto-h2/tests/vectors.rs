//! Public vectors: a few beside this file, all of them from the folder that `LOADGEN_VECTORS` names.
#![allow(clippy::print_stdout)]

mod common;

use common::{hex, show};
use proto_h2::Code;
use proto_h2::frame::{Frame, FrameHeader, flag, kind, unpad};
use proto_h2::hpack::{Decoder, Encoder, Indexing};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("LOADGEN_VECTORS").map(PathBuf::from);
    let named_one = named.is_some();
    let path = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors"));
    if path.is_dir() {
        return Some(path);
    }
    assert!(!named_one, "LOADGEN_VECTORS names no folder: {}", path.display());
    println!("SKIPPED: no folder of vectors at {}; set LOADGEN_VECTORS", path.display());
    None
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            out.extend(files(&path));
        } else if path.extension().is_some_and(|e| e == "json") {
            out.push(path);
        }
    }
    out.sort();
    out
}

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

fn fields(case: &Value) -> Fields {
    let one = |h: &Value| {
        let (name, value) = h.as_object().unwrap().iter().next().unwrap();
        (name.as_bytes().to_vec(), value.as_str().unwrap().as_bytes().to_vec())
    };
    case["headers"].as_array().unwrap().iter().map(one).collect()
}

/// Decodes a story, and what our encoder makes of it.
fn story(story: &Value, name: &str) -> usize {
    let cases = story["cases"].as_array().unwrap();
    let mut decoder = Decoder::new(4096);
    let (mut encoder, mut ours) = (Encoder::new(4096), Decoder::new(4096));
    let mut size = 4096;
    for (n, case) in cases.iter().enumerate() {
        let now = case["header_table_size"].as_u64().unwrap_or(size);
        if now != size {
            decoder.set_max_size(now as usize);
            encoder.set_peer_max_size(now as usize);
            ours.set_max_size(now as usize);
            size = now;
        }
        let expected = fields(case);
        let wire = hex(case["wire"].as_str().unwrap());
        let mut got = Fields::new();
        decoder
            .decode(&wire, |n, v| got.push((n.to_vec(), v.to_vec())))
            .unwrap_or_else(|e| panic!("{name} {n}: {e}"));
        assert_eq!(got, expected, "{name} case {n}: {}", show(&wire));
        let mut block = Vec::new();
        encoder.begin(&mut block);
        for (i, (name, value)) in expected.iter().enumerate() {
            let indexing = [Indexing::Allowed, Indexing::Without, Indexing::Never][(i + n) % 3];
            encoder.field(name, value, indexing, &mut block);
        }
        got.clear();
        ours.decode(&block, |n, v| got.push((n.to_vec(), v.to_vec()))).unwrap();
        assert_eq!(got, expected, "{name} case {n}, our encoder");
    }
    cases.len()
}

#[test]
fn hpack_stories() {
    let mut cases = 0;
    for line in include_str!("data/hpack_stories.jsonl").lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        cases += story(&value, &value["encoder"].to_string());
    }
    assert_eq!(cases, 30);
    let Some(folder) = folder() else { return };
    let files = files(&folder.join("hpack"));
    assert!(!files.is_empty());
    let mut cases = 0;
    for file in &files {
        let value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        cases += story(&value, &file.display().to_string());
    }
    println!("{} stories, {cases} header blocks", files.len());
}

fn text<'a>(v: &'a Value, key: &str) -> &'a [u8] {
    v[key].as_str().unwrap().as_bytes()
}

fn check_frame(v: &Value, name: &str) {
    let wire = hex(v["wire"].as_str().unwrap());
    let (head, payload) = wire.split_first_chunk::<9>().unwrap();
    let header = FrameHeader::parse(head);
    assert_eq!(header.bytes(), *head, "{name}");
    let error = v["error"].as_array().filter(|e| !e.is_empty());
    let parsed = header.check(16_384).and_then(|()| Frame::parse(header, payload));
    if let Some(codes) = error {
        let code = parsed.expect_err(name).code;
        assert!(codes.iter().any(|c| c.as_u64() == Some(u64::from(code.0))), "{name}: {code:?}");
        return;
    }
    let parsed = parsed.unwrap_or_else(|e| panic!("{name}: {}", e.error));
    let (f, p) = (&v["frame"], &v["frame"]["frame_payload"]);
    let number = |v: &Value| v.as_u64().unwrap() as u32;
    assert_eq!(
        (header.len, header.stream),
        (number(&f["length"]), number(&f["stream_identifier"])),
        "{name}"
    );
    assert_eq!((u32::from(header.kind), u32::from(header.flags)), (number(&f["type"]), number(&f["flags"])));
    match (header.kind, parsed) {
        (kind::DATA, _) => {
            assert_eq!(unpad(header, payload).unwrap(), text(p, "data"), "{name}");
            assert_eq!(header.has(flag::PADDED), !p["padding"].is_null());
        }
        (_, Frame::Headers { fragment } | Frame::Continuation { fragment }) => {
            assert_eq!(fragment, text(p, "header_block_fragment"), "{name}");
        }
        (_, Frame::Ping { opaque }) => assert_eq!(opaque, text(p, "opaque_data"), "{name}"),
        (_, Frame::Reset { code }) => assert_eq!(code, Code(number(&p["error_code"])), "{name}"),
        (_, Frame::GoAway { last, code }) => {
            assert_eq!(
                (last, code),
                (number(&p["last_stream_id"]), Code(number(&p["error_code"]))),
                "{name}"
            );
        }
        (_, Frame::WindowUpdate { increment }) => {
            assert_eq!(increment, number(&p["window_size_increment"]), "{name}");
        }
        (_, Frame::Settings { entries }) => {
            let got: Vec<Vec<u32>> = entries
                .chunks(6)
                .map(|e| {
                    vec![u32::from_be_bytes([0, 0, e[0], e[1]]), u32::from_be_bytes([e[2], e[3], e[4], e[5]])]
                })
                .collect();
            let expected: Vec<Vec<u32>> = p["settings"]
                .as_array()
                .unwrap()
                .iter()
                .map(|e| e.as_array().unwrap().iter().map(number).collect())
                .collect();
            assert_eq!(got, expected, "{name}");
        }
        (_, Frame::Ignored) => assert!(!matches!(header.kind, 1 | 3 | 4 | 6..=9), "{name}"),
    }
}

#[test]
fn frames() {
    for line in include_str!("data/frames.jsonl").lines() {
        check_frame(&serde_json::from_str(line).unwrap(), line);
    }
    let Some(folder) = folder() else { return };
    let files = files(&folder.join("frames"));
    assert!(!files.is_empty());
    for file in &files {
        let value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        check_frame(&value, &file.display().to_string());
    }
    println!("{} frames", files.len());
}
