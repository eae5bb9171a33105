//! The tasks: one per socket, which waits for its connection and then, again and again, until there is something to
//! receive; one for the rest of a send that the kernel did not take whole; one each for the timer and the bell.
//!
//! The bytes themselves are moved by the driver, when the core looks at them: so a connection that waits holds no buffer,
//! and what arrives between a wake-up and its turn comes with the same receive.

use super::alarm;
use super::state::{Shared, Watch};
use crate::io::{What, socket};
use monoio::net::TcpStream;
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

/// The life of a socket.
pub(super) async fn link(shared: Shared, index: u32, stream: Rc<TcpStream>, epoll: bool) {
    let connecting = shared.borrow_mut().slot(index).connecting;
    let stands = !connecting || connect(&shared, index, &stream).await;
    while stands && may_watch(&shared, index).await {
        readable(&stream, epoll).await;
        let mut state = shared.borrow_mut();
        if state.slot(index).aborted {
            break;
        }
        state.slot(index).watch = Watch::Ready;
        state.ready.push_back(index);
        state.wake_core();
    }
    drop(stream);
    shared.borrow_mut().task_ended(index);
}

/// Waits for the connection. False: there is none.
async fn connect(shared: &Shared, index: u32, stream: &TcpStream) -> bool {
    let connected = match stream.writable(false).await {
        Ok(()) => socket::take_error(borrow(stream)),
        Err(error) => Err(error),
    };
    let stands = connected.is_ok();
    let mut state = shared.borrow_mut();
    state.slot(index).connecting = false;
    state.tell(index, What::Connected(connected));
    state.wake_core();
    stands
}

/// Waits for the core's leave to watch a socket. False: there is nothing more to watch.
async fn may_watch(shared: &Shared, index: u32) -> bool {
    poll_fn(|context| {
        let mut state = shared.borrow_mut();
        let slot = state.slot(index);
        if slot.aborted || slot.deaf {
            return Poll::Ready(false);
        }
        if slot.watch == Watch::Polling {
            return Poll::Ready(true);
        }
        slot.waker = Some(context.waker().clone());
        Poll::Pending
    })
    .await
}

/// Waits until there is something to receive, if only an error.
async fn readable(stream: &TcpStream, epoll: bool) {
    if epoll {
        // monoio remembers what epoll said, until a check (`false`: by poll(2)) finds that it holds no more. After that its
        // word is enough (`true`), and nothing needs to be checked a second time.
        let mut check = pin!(stream.readable(false));
        let holds = poll_fn(|context| Poll::Ready(check.as_mut().poll(context).is_ready())).await;
        if holds {
            return;
        }
    }
    // An error shows when receiving.
    let _ = stream.readable(true).await;
}

/// Sends what the kernel did not take at once.
pub(super) async fn rest_of_send(shared: Shared, index: u32, stream: Rc<TcpStream>) {
    loop {
        let waited = stream.writable(false).await;
        let mut state = shared.borrow_mut();
        let slot = state.slot(index);
        let result = match waited {
            _ if slot.aborted => Err(io::Error::from_raw_os_error(libc::ECANCELED)),
            Err(error) => Err(error),
            Ok(()) => socket::send(slot.fd, &slot.sending[slot.sent..]),
        };
        let ended = match result {
            Ok(n) => {
                slot.sent += n;
                (slot.sent == slot.sending.len()).then_some(Ok(()))
            }
            Err(error) if would_block(&error) => None,
            Err(error) => Some(Err(error)),
        };
        if let Some(result) = ended {
            slot.unsent = false;
            let buffer = std::mem::take(&mut slot.sending);
            if slot.finish {
                socket::shutdown_write(&slot.fd);
            }
            let what = match result {
                Ok(()) => What::Sent(buffer),
                Err(error) => What::SendFailed(error, buffer),
            };
            state.tell(index, what);
            state.wake_core();
            break;
        }
    }
    drop(stream);
    shared.borrow_mut().task_ended(index);
}

/// Ends the core's wait whenever the timer or the bell rings.
pub(super) async fn ring(shared: Shared, stream: TcpStream, is_timer: bool) {
    loop {
        let _ = stream.readable(false).await;
        alarm::hush(stream.as_raw_fd());
        let mut state = shared.borrow_mut();
        if is_timer {
            state.timer = None;
        }
        state.wake_core();
        if state.closing {
            state.tasks -= 1;
            state.closed |= is_timer;
            return;
        }
    }
}

fn borrow(stream: &TcpStream) -> BorrowedFd<'_> {
    // SAFETY: the stream owns the descriptor, and is borrowed as long.
    unsafe { BorrowedFd::borrow_raw(stream.as_raw_fd()) }
}

/// The operation is to be tried again when the socket says so.
pub(super) fn would_block(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR))
}
