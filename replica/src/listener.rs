//! A listener whose host can go down: connections are reset, new ones and those that are open.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use crate::faults::{Faults, Site};
use crate::site::World;

/// Listens for one host.
pub(crate) struct HostListener {
    pub(crate) listener: TcpListener,
    pub(crate) site: Site,
    pub(crate) world: Arc<World>,
}

impl Listener for HostListener {
    type Io = HostStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (HostStream, SocketAddr) {
        loop {
            let (stream, peer) = Listener::accept(&mut self.listener).await;
            if self.world.faults.refuse_connection(self.site) {
                self.world.log.refuse(self.site);
                // Lingering for no time makes the close a reset.
                let _ = stream.set_zero_linger();
                continue;
            }
            // Answers are written whole; waiting for more to send only delays them.
            let _ = stream.set_nodelay(true);
            let stream = HostStream {
                stream,
                site: self.site,
                faults: self.world.faults.clone(),
                stopped: Arc::clone(&self.world.stopped),
            };
            return (stream, peer);
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Listener::local_addr(&self.listener)
    }
}

/// A connection that dies when its host goes down or the replica stops.
pub(crate) struct HostStream {
    stream: TcpStream,
    site: Site,
    faults: Faults,
    stopped: Arc<AtomicBool>,
}

impl HostStream {
    fn alive(&self) -> io::Result<()> {
        if self.stopped.load(Ordering::Relaxed) || self.faults.is_down(self.site) {
            let _ = self.stream.set_zero_linger();
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl AsyncRead for HostStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.alive()?;
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.alive()?;
        read
    }
}

impl AsyncWrite for HostStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.alive()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
