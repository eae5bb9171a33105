//! The flags of HTTP/2: windows, frame size, header tables.

use crate::args::RunArgs;
use crate::error::Failure;
use crate::values;
use scenario::plan::Http2;

/// h2load's defaults where nothing is given.
pub fn settings(args: &RunArgs) -> Result<Http2, Failure> {
    let (p, default) = (&args.protocol, Http2::default());
    let by_f = match frame_size_by_f(args) {
        None => None,
        Some(text) => Some(
            values::frame_size(text)
                .map_err(|e| Failure::new(format!("-f, --max-frame-size: bad option value: {text}: {e}")))?,
        ),
    };
    let bits = |given: Option<u64>, default| given.and_then(|n| u8::try_from(n).ok()).unwrap_or(default);
    let size = |given: Option<u64>, default| given.and_then(|n| u32::try_from(n).ok()).unwrap_or(default);
    Ok(Http2 {
        stream_window_bits: bits(p.window_bits, default.stream_window_bits),
        connection_window_bits: bits(p.connection_window_bits, default.connection_window_bits),
        max_frame_size: size(p.max_frame_size.or(by_f), default.max_frame_size),
        header_table_size: size(p.header_table_size, default.header_table_size),
        encoder_header_table_size: size(p.encoder_header_table_size, default.encoder_header_table_size),
    })
}

/// `-f SIZE` beside a URL: h2load's `--max-frame-size`. Otherwise `-f` names a plan.
pub fn frame_size_by_f(args: &RunArgs) -> Option<&str> {
    args.file
        .as_deref()
        .filter(|f| (!args.urls.is_empty() || args.load.input_file.is_some()) && values::size(f).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::tests::typed;

    fn of(line: &str) -> Result<Http2, String> {
        settings(&typed(&format!("{line} http://a/"))?.run).map_err(|e| e.to_string())
    }

    #[test]
    fn every_flag_has_its_place() {
        let d = Http2::default();
        for (lines, http2) in [
            (&[""][..], d),
            (&["-w 14", "--window-bits=14", "-w14"], Http2 { stream_window_bits: 14, ..d }),
            (&["-w 0"], Http2 { stream_window_bits: 0, ..d }),
            (&["-W 16", "--connection-window-bits 16"], Http2 { connection_window_bits: 16, ..d }),
            (
                &["-f 32K", "--max-frame-size=32768", "-f 16K --max-frame-size 32K"],
                Http2 { max_frame_size: 32 << 10, ..d },
            ),
            (&["-f 16777215"], Http2 { max_frame_size: 16_777_215, ..d }),
            (&["--header-table-size 0"], Http2 { header_table_size: 0, ..d }),
            (&["--header-table-size 4294967295"], Http2 { header_table_size: u32::MAX, ..d }),
            (&["--encoder-header-table-size=8K"], Http2 { encoder_header_table_size: 8 << 10, ..d }),
        ] {
            for line in lines {
                assert_eq!(of(line), Ok(http2), "{line}");
            }
        }
    }

    #[test]
    fn a_frame_size_by_f_has_the_same_bounds() {
        for (line, part) in [("-f 1K", "minimum is 16384"), ("-f 16M", "maximum is 16777215")] {
            let error = of(line).unwrap_err();
            assert!(error.contains("-f, --max-frame-size") && error.contains(part), "{error}");
        }
        assert!(frame_size_by_f(&typed("-f 16K").unwrap().run).is_none());
        assert!(frame_size_by_f(&typed("-f plan.yaml http://a/").unwrap().run).is_none());
    }
}
