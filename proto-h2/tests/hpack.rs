//! RFC 7541 appendix C, and HPACK against another implementation, both ways.

mod common;

use common::hex;
use fluke_hpack as other;
use proptest::prelude::*;
use proto_h2::hpack::{Decoder, Encoder, Error, Indexing};

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Fields, Error> {
    let mut out = Fields::new();
    decoder.decode(block, |n, v| out.push((n.to_vec(), v.to_vec())))?;
    Ok(out)
}

fn fields(text: &str) -> Fields {
    let one = |line: &str| {
        let (name, value) = line.trim().split_once("= ").unwrap_or_else(|| panic!("{line}"));
        (name.as_bytes().to_vec(), value.as_bytes().to_vec())
    };
    text.lines().filter(|l| !l.trim().is_empty()).map(one).collect()
}

fn check(decoder: &mut Decoder, block: &str, expected: &str) {
    assert_eq!(decode(decoder, &hex(block)).unwrap(), fields(expected), "{block}");
}

#[test]
fn appendix_c_2_fields() {
    let fresh = || Decoder::new(4096);
    let block = "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572";
    check(&mut fresh(), block, "custom-key= custom-header");
    check(&mut fresh(), "040c 2f73 616d 706c 652f 7061 7468", ":path= /sample/path");
    check(&mut fresh(), "1008 7061 7373 776f 7264 0673 6563 7265 74", "password= secret");
    check(&mut fresh(), "82", ":method= GET");
}

const REQUESTS: [&str; 3] = [
    ":method= GET\n:scheme= http\n:path= /\n:authority= www.example.com",
    ":method= GET\n:scheme= http\n:path= /\n:authority= www.example.com\ncache-control= no-cache",
    ":method= GET\n:scheme= https\n:path= /index.html\n:authority= www.example.com\ncustom-key= custom-value",
];

#[test]
fn appendix_c_3_and_4_requests() {
    let plain = [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ];
    let huffman = [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ];
    for blocks in [plain, huffman] {
        let mut d = Decoder::new(4096);
        for (block, expected) in blocks.iter().zip(REQUESTS) {
            check(&mut d, block, expected);
        }
    }
    // Our encoder writes the Huffman form to the byte, but that it keeps names of static entries: the same.
    let (mut e, mut out) = (Encoder::new(4096), Vec::new());
    for (block, request) in huffman.iter().zip(REQUESTS) {
        out.clear();
        e.begin(&mut out);
        for (name, value) in fields(request) {
            e.field(&name, &value, Indexing::Allowed, &mut out);
        }
        assert_eq!(out, hex(block));
    }
}

#[test]
fn appendix_c_5_and_6_responses_with_eviction() {
    let expected = [
        ":status= 302\ncache-control= private\ndate= Mon, 21 Oct 2013 20:13:21 GMT\nlocation= https://www.example.com",
        ":status= 307\ncache-control= private\ndate= Mon, 21 Oct 2013 20:13:21 GMT\nlocation= https://www.example.com",
        ":status= 200\ncache-control= private\ndate= Mon, 21 Oct 2013 20:13:22 GMT\nlocation= https://www.example.com\n\
         content-encoding= gzip\nset-cookie= foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
    ];
    let plain = [
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d
         546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f
         6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b
         2076 6572 7369 6f6e 3d31",
    ];
    let huffman = [
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7
         8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335
         dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ];
    for blocks in [plain, huffman] {
        let mut d = Decoder::new(256);
        for (block, expected) in blocks.iter().zip(expected) {
            check(&mut d, block, expected);
        }
        // After the third, the table holds the cookie, gzip and the date, newest first (C.5.3).
        let left = decode(&mut d, &[0xbe, 0xbf, 0xc0]).unwrap();
        assert_eq!(left[1], (b"content-encoding".to_vec(), b"gzip".to_vec()));
        assert_eq!(left[2].0, b"date");
        assert_eq!(decode(&mut d, &[0xc1]), Err(Error::Index));
    }
}

fn field() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let name = prop_oneof![
        4 => prop::sample::select(vec![":status", "content-length", "date", "x-a", "x-b", "set-cookie", "accept"])
            .prop_map(|n| n.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ];
    let value = prop_oneof![
        3 => prop::sample::select(vec!["200", "404", "", "gzip, deflate", "0", "a value of some length"])
            .prop_map(|n| n.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..300),
    ];
    (name, value)
}

type Step = (Option<usize>, Vec<((Vec<u8>, Vec<u8>), u8)>);

/// A block to be encoded, after a change of the table size or not.
fn step() -> impl Strategy<Value = Step> {
    let size = prop::option::weighted(0.2, prop::sample::select(vec![0usize, 33, 64, 200, 1000, 4096]));
    (size, prop::collection::vec((field(), 0u8..3), 1..12))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_another_encoder_writes_we_read(steps in prop::collection::vec(step(), 1..12)) {
        let (mut theirs, mut ours) = (other::Encoder::new(), Decoder::new(4096));
        for (size, block) in steps {
            if let Some(size) = size {
                theirs.set_max_table_size(size);
            }
            let list: Fields = block.into_iter().map(|(f, _)| f).collect();
            let wire = theirs.encode(list.iter().map(|(n, v)| (&n[..], &v[..])));
            prop_assert_eq!(decode(&mut ours, &wire).unwrap(), list);
        }
    }

    #[test]
    fn what_we_write_another_decoder_reads(steps in prop::collection::vec(step(), 1..12)) {
        let (mut ours, mut theirs, mut own) = (Encoder::new(4096), other::Decoder::new(), Decoder::new(4096));
        for (size, block) in steps {
            if let Some(size) = size {
                ours.set_peer_max_size(size);
            }
            let mut wire = Vec::new();
            ours.begin(&mut wire);
            for ((name, value), how) in &block {
                let indexing = [Indexing::Allowed, Indexing::Without, Indexing::Never][usize::from(*how)];
                ours.field(name, value, indexing, &mut wire);
            }
            let list: Fields = block.into_iter().map(|(f, _)| f).collect();
            prop_assert_eq!(theirs.decode(&wire).unwrap(), list.clone());
            prop_assert_eq!(decode(&mut own, &wire).unwrap(), list);
        }
    }

    /// On any bytes: what we accept, the other one accepts and reads alike. (It panics on some of what we refuse, and
    /// refuses a block that is a size update and nothing else.)
    #[test]
    fn of_any_bytes_what_we_read_is_right(blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6)) {
        let (mut ours, mut theirs) = (Decoder::new(4096), other::Decoder::new());
        theirs.set_max_allowed_table_size(4096);
        for block in blocks {
            let Ok(fields) = decode(&mut ours, &block) else { break };
            if fields.is_empty() {
                break;
            }
            match theirs.decode(&block) {
                Ok(same) => prop_assert_eq!(fields, same),
                Err(e) => prop_assert!(false, "we read {:?}, the other one says {:?} of {:x?}", fields, e, block),
            }
        }
    }
}
