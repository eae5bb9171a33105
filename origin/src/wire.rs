//! The byte stream under a protocol: a socket (or TLS over one) that first gives back what was read to tell
//! the protocol, reports when everything is written, and resets instead of closing when told so. Made by
//! `connection.rs` for hyper.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::limits::SMALL_WRITE;
use crate::link::{Break, Link};

/// A stream with a TCP socket under it.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin {
    fn socket(&self) -> &TcpStream;
}

impl Stream for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Stream for TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// What hyper reads from and writes to.
pub(crate) struct Wire<S: Stream> {
    io: TokioIo<S>,
    early: Bytes,
    link: Rc<Link>,
}

impl<S: Stream> Wire<S> {
    /// `early` was already read from `stream`.
    pub(crate) fn new(stream: S, early: Bytes, link: Rc<Link>) -> Self {
        Self { io: TokioIo::new(stream), early, link }
    }
}

impl<S: Stream> Read for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let count = self.early.len().min(buf.remaining());
        buf.put_slice(&self.early[..count]);
        self.early.advance(count);
        if self.early.is_empty() {
            self.early = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> Write for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // Head and body of a small response: copying them together costs less than having the kernel gather
        // them.
        let mut small = [MaybeUninit::<u8>::uninit(); SMALL_WRITE];
        let mut joined = ReadBuf::uninit(&mut small);
        if bufs.len() > 1 && bufs.iter().map(|buf| buf.len()).sum::<usize>() <= SMALL_WRITE {
            bufs.iter().for_each(|buf| joined.put_slice(buf));
            return Pin::new(&mut self.io).poll_write(cx, joined.filled());
        }
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    /// hyper flushes when it has nothing left to write.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        self.link.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl<S: Stream> Drop for Wire<S> {
    fn drop(&mut self) {
        if self.link.broken() == Some(Break::Reset) {
            // Fails only on a socket that the peer has reset already.
            let _ = self.io.inner().socket().set_zero_linger();
        }
    }
}
