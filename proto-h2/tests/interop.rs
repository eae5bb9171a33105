//! Against the server of the `h2` crate, in process, over an in-memory pipe: two independent readings of the RFC.

mod common;

use bytes::Bytes;
use common::{ALL, Event, Log, get, post};
use proto::{ByteInput, ClientConn, CloseReason, Kind, Request, Time, Token, Want};
use proto_h2::{Config, Connection, Prepared};
use std::collections::BTreeMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// Answers with what was asked for: `/bytes/N`, `/echo`, `/trailers`, `/reset`.
async fn answer(
    request: http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
) -> Option<()> {
    let path = request.uri().path().to_owned();
    let mut body = request.into_body();
    let mut received = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.ok()?;
        received.extend_from_slice(&piece);
        body.flow_control().release_capacity(piece.len()).ok()?;
    }
    let response = http::Response::builder().status(200).header("x-path", &path);
    if path == "/reset" {
        respond.send_reset(h2::Reason::INTERNAL_ERROR);
        return Some(());
    }
    let content = match path.strip_prefix("/bytes/") {
        Some(n) => vec![b'x'; n.parse().ok()?],
        None => received,
    };
    let mut stream = respond.send_response(response.body(()).ok()?, false).ok()?;
    let mut rest = Bytes::from(content);
    let trailers = path == "/trailers";
    while !rest.is_empty() {
        stream.reserve_capacity(rest.len());
        let n = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await?.ok()?.min(rest.len());
        stream.send_data(rest.split_to(n), false).ok()?;
    }
    if trailers {
        let mut map = http::HeaderMap::new();
        map.insert("x-sum", http::HeaderValue::from_static("7"));
        stream.send_trailers(map).ok()?;
    } else {
        stream.send_data(Bytes::new(), true).ok()?;
    }
    Some(())
}

/// Serves until the connection ends; after `last` requests it says GOAWAY.
async fn serve(io: DuplexStream, builder: h2::server::Builder, last: usize) {
    let mut connection = builder.handshake::<_, Bytes>(io).await.unwrap();
    let mut n = 0;
    while let Some(next) = connection.accept().await {
        let Ok((request, respond)) = next else { return };
        tokio::spawn(answer(request, respond));
        n += 1;
        if n == last {
            connection.graceful_shutdown();
        }
    }
}

/// What to ask.
#[derive(Clone)]
struct Ask<'a> {
    prepared: &'a Prepared,
    body: Bytes,
    want: Want,
}

/// Drives our side until all was asked and answered, or the connection is over. `wait`: for the server's SETTINGS first.
async fn drive(mut io: DuplexStream, config: Config, wait: bool, asks: &[Ask<'_>]) -> (Log, Connection) {
    let (mut conn, mut log) = (Connection::new(config), Log::default());
    let (mut buffer, mut out, mut asked) = (vec![0; 30_000], Vec::new(), 0);
    let now = Time::from_nanos(1);
    loop {
        let settled = log.0.contains(&Event::Ready) || !wait;
        while settled && asked < asks.len() && conn.capacity() > 0 {
            let Ask { prepared, body, want } = asks[asked].clone();
            let request = Request { prepared, values: &[], body, want };
            conn.submit(now, Token(asked as u64), request).unwrap();
            asked += 1;
        }
        out.clear();
        while conn.poll_transmit(now, 10_000, &mut out, &mut log).is_some() {}
        // The pipe may be full in both directions: read while writing.
        let mut written = 0;
        let over = log.0.iter().any(|e| matches!(e, Event::Closed(_)));
        while written < out.len() {
            let (mut reader, mut writer) = tokio::io::split(&mut io);
            tokio::select! {
                n = writer.write(&out[written..]) => written += n.unwrap_or(out.len()),
                n = reader.read(&mut buffer), if !over => {
                    conn.handle_input(now, ByteInput::Bytes(&buffer[..n.unwrap()]), &mut log);
                }
            }
        }
        if over || (asked == asks.len() && conn.in_flight() == 0) {
            return (log, conn);
        }
        if conn.wants_transmit() {
            continue;
        }
        match io.read(&mut buffer).await {
            Ok(0) | Err(_) => conn.handle_input(now, ByteInput::Eof, &mut log),
            Ok(n) => conn.handle_input(now, ByteInput::Bytes(&buffer[..n]), &mut log),
        }
    }
}

/// All requests, after the server's SETTINGS. The server of `h2` forgets to open a window again that it made smaller while
/// bytes were in it, so uploads that meet a small window do not begin before.
const WAIT: usize = usize::MAX - 1;

fn run(config: Config, builder: h2::server::Builder, last: usize, asks: &[Ask<'_>]) -> (Log, Connection) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (client, server) = tokio::io::duplex(16 * 1024);
        let served = tokio::spawn(serve(server, builder, last));
        let result = drive(client, config, last == WAIT, asks).await;
        let _ = served.await;
        result
    })
}

fn count(log: &Log, f: impl Fn(&Event) -> bool) -> usize {
    log.0.iter().filter(|e| f(e)).count()
}

/// Bytes of body by token.
fn bodies(log: &Log) -> BTreeMap<u64, Vec<u8>> {
    let mut out = BTreeMap::<u64, Vec<u8>>::new();
    for e in &log.0 {
        if let Event::Body(token, _, bytes) = e {
            out.entry(*token).or_default().extend_from_slice(bytes);
        }
    }
    out
}

fn ask(prepared: &Prepared, body: impl Into<Bytes>) -> Ask<'_> {
    Ask { prepared, body: body.into(), want: ALL }
}

#[test]
fn many_requests_with_every_window() {
    let prepared = get("/bytes/3000");
    let asks = vec![ask(&prepared, ""); 2000];
    for (bits, window, streams) in [(30, 65_535, 100), (12, 65_535, 7), (16, 20_000, 1000)] {
        let mut builder = h2::server::Builder::new();
        builder.initial_window_size(window).max_concurrent_streams(streams).max_frame_size(16_384);
        let config = Config {
            max_streams: 64,
            stream_window_bits: bits,
            connection_window_bits: bits.max(14),
            ..Config::default()
        };
        let (log, conn) = run(config, builder, usize::MAX, &asks);
        // What was sent before the server's SETTINGS said how many it takes is refused, and nothing else.
        let refused =
            count(&log, |e| matches!(e, Event::Failed(_, e, true) if e.kind == Kind::StreamReset(7)));
        assert_eq!(refused, 64usize.saturating_sub(streams as usize), "{bits}");
        assert_eq!(count(&log, |e| matches!(e, Event::Done(_))), 2000 - refused);
        assert_eq!(count(&log, |e| matches!(e, Event::Sent(_))), 2000);
        assert_eq!(conn.stats().data_bytes, 3000 * (2000 - refused) as u64);
        let stats = conn.stats();
        assert!(stats.header_bytes * 5 < stats.header_bytes_decoded, "{stats:?}");
    }
}

#[test]
fn uploads_come_back_whole() {
    let prepared = post();
    let body = |n: usize| Bytes::from((0..n).map(|i| (i * 7 + n) as u8).collect::<Vec<_>>());
    let sizes = [0, 1, 100, 16_384, 16_385, 70_000, 300_000];
    let asks: Vec<Ask<'_>> = (0..70).map(|i| ask(&prepared, body(sizes[i % 7]))).collect();
    let mut builder = h2::server::Builder::new();
    builder.initial_window_size(1000).initial_connection_window_size(30_000);
    let config = Config { max_streams: 10, ..Config::default() };
    let (log, _) = run(config, builder, WAIT, &asks);
    assert_eq!(count(&log, |e| matches!(e, Event::Done(_))), 70);
    let bodies = bodies(&log);
    for i in 0..70 {
        let got = bodies.get(&(i as u64)).map_or(&[][..], Vec::as_slice);
        assert_eq!(got.len(), sizes[i % 7]);
        assert_eq!(got, body(sizes[i % 7]));
    }
}

#[test]
fn trailers_and_resets() {
    let (trailers, reset) =
        (get("/trailers"), Connection::prepare(1, &common::template("GET", "/reset", &[])));
    let asks: Vec<Ask<'_>> = (0..40).map(|i| ask(if i % 2 == 0 { &trailers } else { &reset }, "")).collect();
    let (log, conn) =
        run(Config { max_streams: 5, ..Config::default() }, h2::server::Builder::new(), usize::MAX, &asks);
    let expected = vec![("x-sum".to_owned(), "7".to_owned())];
    assert_eq!(count(&log, |e| matches!(e, Event::Trailers(_, f) if *f == expected)), 20);
    assert_eq!(count(&log, |e| matches!(e, Event::Done(_))), 20);
    let internal = |e: &Event| matches!(e, Event::Failed(_, e, false) if e.kind == Kind::StreamReset(2));
    assert_eq!(count(&log, internal), 20);
    assert!(conn.capacity() > 0);
}

#[test]
fn going_away_loses_nothing() {
    let prepared = get("/bytes/10");
    let asks = vec![ask(&prepared, ""); 300];
    let (log, conn) =
        run(Config { max_streams: 20, ..Config::default() }, h2::server::Builder::new(), 100, &asks);
    let done = count(&log, |e| matches!(e, Event::Done(_)));
    let unprocessed = count(&log, |e| matches!(e, Event::Failed(_, _, true)));
    assert_eq!(count(&log, |e| matches!(e, Event::Failed(_, _, false))), 0);
    assert!(done >= 100 && done + unprocessed < 300, "{done} {unprocessed}");
    assert_eq!(count(&log, |e| *e == Event::Draining), 1);
    assert_eq!(log.0.last(), Some(&Event::Closed(CloseReason::Graceful)));
    assert_eq!(conn.in_flight(), 0);
}
