//! The TCP listener of a host. It resets new and open connections while a fault takes the host down.
//!
//! While a connection fault is set, a task of its own reads the beginning of each connection before it is served.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::faults::Faults;
use crate::hosts::Site;
use crate::site::World;
use crate::strange_connections::{Admitted, admit};

/// The capacity of the queue of connections that were read first and wait to be served.
const MOST_ADMITTED: usize = 64;

/// The listener of one host.
pub(crate) struct HostListener {
    pub(crate) listener: TcpListener,
    pub(crate) site: Site,
    pub(crate) world: Arc<World>,
    admitted: mpsc::Receiver<(HostStream, SocketAddr)>,
    admit: mpsc::Sender<(HostStream, SocketAddr)>,
}

impl HostListener {
    pub(crate) fn new(listener: TcpListener, site: Site, world: Arc<World>) -> Self {
        let (admit, admitted) = mpsc::channel(MOST_ADMITTED);
        HostListener {
            listener,
            site,
            world,
            admitted,
            admit,
        }
    }

    /// Reads the beginning of the connection in a task of its own, so that other connections do not wait.
    fn read_first(&self, stream: TcpStream, peer: SocketAddr) {
        let (world, site, admitted) = (Arc::clone(&self.world), self.site, self.admit.clone());
        tokio::spawn(async move {
            if let Admitted::Ordinary(stream, read_already) = admit(&world, site, stream).await {
                let stream = HostStream::new(&world, site, stream, read_already);
                // Sending fails only when the simulator has stopped and the listener is gone.
                let _ = admitted.send((stream, peer)).await;
            }
        });
    }
}

impl Listener for HostListener {
    type Io = HostStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (HostStream, SocketAddr) {
        loop {
            let (stream, peer) = tokio::select! {
                accepted = Listener::accept(&mut self.listener) => accepted,
                Some(admitted) = self.admitted.recv() => return admitted,
            };
            if self.world.faults.refuse_connection(self.site) {
                self.world.log.refuse(self.site);
                // A linger time of zero makes the close a reset.
                let _ = stream.set_zero_linger();
                continue;
            }
            // Answers are written in one piece, so Nagle's algorithm would only delay them.
            let _ = stream.set_nodelay(true);
            if self.world.faults.is_strange(self.site) {
                self.read_first(stream, peer);
                continue;
            }
            let stream = HostStream::new(&self.world, self.site, stream, Vec::new());
            return (stream, peer);
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Listener::local_addr(&self.listener)
    }
}

/// A connection that ends when its host goes down or the simulator stops.
pub(crate) struct HostStream {
    stream: TcpStream,
    /// The bytes that were read before the connection was served.
    read_already: Vec<u8>,
    site: Site,
    faults: Faults,
    stopped: Arc<AtomicBool>,
}

impl HostStream {
    fn new(world: &World, site: Site, stream: TcpStream, read_already: Vec<u8>) -> Self {
        HostStream {
            stream,
            read_already,
            site,
            faults: world.faults.clone(),
            stopped: Arc::clone(&world.stopped),
        }
    }

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
        if !self.read_already.is_empty() {
            let length = self.read_already.len().min(buffer.remaining());
            let rest = self.read_already.split_off(length);
            buffer.put_slice(&self.read_already);
            self.read_already = rest;
            return Poll::Ready(Ok(()));
        }
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
