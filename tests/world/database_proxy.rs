//! A proxy between the runner and PostgreSQL that recognises single statements.
//!
//! It counts the statements. At a chosen one it cuts the connection, stalls, or makes the server answer with an error.
//! The tests' own connections bypass the proxy. The runner sends one statement at a time, so the proxy handles one at a
//! time.

mod protocol;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use protocol::{Conversation, Ended};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixStream};
use tokio::sync::watch;

/// The proxy's action at a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Cuts the connection before the server receives the statement.
    CutBefore,
    /// Lets the server execute the statement and cuts the connection before the runner receives the answer.
    CutAfter,
    /// Makes the server fail with this SQLSTATE, with the real effect on its transaction.
    Fail(&'static str),
    /// Keeps the connection open and forwards nothing until the runner closes it.
    Stall,
    /// Holds the statement back until [`DatabaseProxy::release`].
    Hold,
    /// Delays the statement, like a slow disk.
    Delay(Duration),
}

/// The proxy's reaction to a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Forwards it to the server.
    Open,
    /// Stops listening and cuts the open connections.
    Down,
    /// Answers with this SQLSTATE and this message.
    Refuses(&'static str, &'static str),
}

/// A statement that reached the proxy.
#[derive(Debug)]
pub struct Asked<'text> {
    /// Its description: the text of a simple query, `prepare …`, `run …`, `close`, `copy`.
    pub text: &'text str,
    /// How many equal statements reached the proxy before.
    pub earlier: usize,
}

/// Decides the action at each statement.
pub type Rule = Box<dyn FnMut(&Asked<'_>) -> Option<Act> + Send>;

struct Shared {
    server: PathBuf,
    door: watch::Sender<Door>,
    held: watch::Sender<bool>,
    rule: Mutex<Rule>,
    seen: Mutex<Vec<String>>,
    counts: Mutex<BTreeMap<String, usize>>,
    acts: Mutex<Vec<(String, Act)>>,
}

/// The proxy. Dropping it closes all its connections.
pub struct DatabaseProxy {
    shared: Arc<Shared>,
    url: String,
    listening: tokio::task::JoinHandle<()>,
}

impl DatabaseProxy {
    /// Starts a proxy in front of the server of `database`, a connection string that names a socket's folder.
    pub async fn before(database: &str) -> Self {
        let config: tokio_postgres::Config = database.parse().expect("a connection string");
        let Some(tokio_postgres::config::Host::Unix(folder)) = config.get_hosts().first() else {
            panic!("the tests' server is behind a socket: {database}");
        };
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let place = Place::take();
        let listener = place.listener();
        let shared = Arc::new(Shared {
            server: folder.join(format!(".s.PGSQL.{port}")),
            door: watch::Sender::new(Door::Open),
            held: watch::Sender::new(false),
            rule: Mutex::new(Box::new(|_| None)),
            seen: Mutex::default(),
            counts: Mutex::default(),
            acts: Mutex::default(),
        });
        let url = format!(
            "host=127.0.0.1 port={} user={} dbname={}",
            place.address.port(),
            config.get_user().expect("a user"),
            config.get_dbname().expect("a database")
        );
        let listening = tokio::spawn(listen(Arc::clone(&shared), place, listener));
        Self {
            shared,
            url,
            listening,
        }
    }

    /// The `DATABASE_URL` for the runner.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Replaces the rule that decides the action at each statement.
    pub fn rule(&self, rule: impl FnMut(&Asked<'_>) -> Option<Act> + Send + 'static) {
        *self.shared.rule.lock() = Box::new(rule);
    }

    /// Sets the reaction to new connections. `Door::Down` also cuts the open ones.
    pub fn door(&self, door: Door) {
        self.shared.door.send_replace(door);
    }

    /// Every statement that reached the proxy, in order.
    pub fn seen(&self) -> Vec<String> {
        self.shared.seen.lock().clone()
    }

    /// The actions so far, each with its statement.
    pub fn acts(&self) -> Vec<(String, Act)> {
        self.shared.acts.lock().clone()
    }

    /// Waits until a statement is held back.
    pub async fn holds(&self) {
        let mut held = self.shared.held.subscribe();
        let waiting = held.wait_for(|held| *held);
        tokio::time::timeout(Duration::from_secs(60), waiting)
            .await
            .expect("no statement was held within a minute")
            .expect("the proxy is there");
    }

    /// Releases the statement that is held back.
    pub fn release(&self) {
        self.shared.held.send_replace(false);
    }
}

impl Drop for DatabaseProxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.shared.door.send_replace(Door::Down);
    }
}

impl Shared {
    fn decide(&self, text: &str) -> Option<Act> {
        self.seen.lock().push(text.to_owned());
        let mut counts = self.counts.lock();
        let count = counts.entry(text.to_owned()).or_default();
        let earlier = *count;
        *count += 1;
        let act = self.rule.lock()(&Asked { text, earlier });
        if let Some(act) = act {
            self.acts.lock().push((text.to_owned(), act));
        }
        act
    }
}

/// A reserved port. Without the reservation, another test could bind it while the proxy is down and be taken for the
/// database.
struct Place {
    address: SocketAddr,
    /// Bound, and never listening.
    _kept: TcpSocket,
}

impl Place {
    fn take() -> Self {
        let kept = shared_socket(SocketAddr::from(([127, 0, 0, 1], 0)));
        Self {
            address: kept.local_addr().expect("bound"),
            _kept: kept,
        }
    }

    fn listener(&self) -> TcpListener {
        shared_socket(self.address).listen(128).expect("a listener")
    }
}

/// A socket whose address other sockets of this process may share.
fn shared_socket(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .set_reuseport(true)
        .expect("a port of several sockets");
    socket
        .set_reuseaddr(true)
        .expect("a port that was just in use");
    socket.bind(address).expect("a port");
    socket
}

async fn listen(shared: Arc<Shared>, place: Place, mut listener: TcpListener) {
    let mut door = shared.door.subscribe();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => Some(accepted.expect("a connection").0),
            _ = until(&mut door, true) => None,
        };
        let Some(client) = accepted else {
            drop(listener);
            if !until(&mut door, false).await {
                return;
            }
            listener = place.listener();
            continue;
        };
        // An answer consists of many small messages; none of them may wait for the acknowledgement of the previous one.
        client.set_nodelay(true).expect("a socket");
        tokio::spawn(serve(Arc::clone(&shared), client));
    }
}

/// Waits until the door is down, or no longer down. Returns false if the proxy was dropped.
async fn until(door: &mut watch::Receiver<Door>, down: bool) -> bool {
    door.wait_for(|door| (*door == Door::Down) == down)
        .await
        .is_ok()
}

/// Serves one connection of the runner until one side closes it or the door goes down.
async fn serve(shared: Arc<Shared>, mut client: TcpStream) {
    let mut door = shared.door.subscribe();
    let now = *door.borrow();
    match now {
        Door::Open => {}
        Door::Down => return,
        Door::Refuses(code, words) => {
            let _ = protocol::read_startup(&mut client).await;
            let _ = client.write_all(&protocol::refusal(code, words)).await;
            return;
        }
    }
    let Ok(server) = UnixStream::connect(&shared.server).await else {
        return;
    };
    let mut conversation = Conversation::new(client, server);
    let ended = tokio::select! {
        ended = converse(&shared, &mut conversation) => ended,
        _ = until(&mut door, true) => Ended::Cut,
    };
    if matches!(ended, Ended::Cut) {
        conversation.reset();
    }
}

async fn converse(shared: &Shared, conversation: &mut Conversation) -> Ended {
    if let Err(ended) = conversation.start().await {
        return ended;
    }
    loop {
        let group = match conversation.next_group().await {
            Ok(group) => group,
            Err(ended) => return ended,
        };
        let went = match shared.decide(&group.text) {
            None => conversation.pass(&group).await,
            Some(Act::CutBefore) => Err(Ended::Cut),
            Some(Act::CutAfter) => conversation.pass_unanswered(&group).await,
            Some(Act::Fail(code)) => conversation.fail(&group, code).await,
            Some(Act::Stall) => {
                conversation.until_client_is_gone().await;
                Err(Ended::Gone)
            }
            Some(Act::Hold) => {
                shared.held.send_replace(true);
                let _ = shared.held.subscribe().wait_for(|held| !*held).await;
                conversation.pass(&group).await
            }
            Some(Act::Delay(delay)) => {
                tokio::time::sleep(delay).await;
                conversation.pass(&group).await
            }
        };
        if let Err(ended) = went {
            return ended;
        }
    }
}
