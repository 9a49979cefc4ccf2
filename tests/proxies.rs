//! Proxies from the environment (A2): every request uses them, and errors name the variable.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::world::World;

const MONTHLY: [&str; 5] = ["--once", "--mode", "hybrid", "--cycle", "monthly"];
const NAME: &[u8] = b"me";
const PASSWORD: &[u8] = b"hunter2";

/// A SOCKS5 proxy (RFC 1928) that requires a user name and a password (RFC 1929) and counts the connections it
/// forwards.
struct SocksProxy {
    port: u16,
    served: Arc<AtomicUsize>,
}

impl SocksProxy {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let served = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&served);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let counter = Arc::clone(&counter);
                // An error of one client ends only its own connection.
                tokio::spawn(async move { serve(client, &counter).await });
            }
        });
        Self { port, served }
    }
}

async fn serve(mut client: TcpStream, served: &AtomicUsize) -> std::io::Result<()> {
    let _version = client.read_u8().await?;
    let mut methods = vec![0; usize::from(client.read_u8().await?)];
    client.read_exact(&mut methods).await?;
    client.write_all(&[5, 2]).await?;
    let _version = client.read_u8().await?;
    let name = counted(&mut client).await?;
    let password = counted(&mut client).await?;
    let is_known = name == NAME && password == PASSWORD;
    client.write_all(&[1, u8::from(!is_known)]).await?;
    let mut head = [0; 4];
    client.read_exact(&mut head).await?;
    let host = match head[3] {
        1 => {
            let mut address = [0; 4];
            client.read_exact(&mut address).await?;
            std::net::Ipv4Addr::from(address).to_string()
        }
        _ => String::from_utf8_lossy(&counted(&mut client).await?).into_owned(),
    };
    let port = client.read_u16().await?;
    // The proxy connects the sites' names only to this machine.
    assert!(host.ends_with(".test"), "{host}");
    let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    served.fetch_add(1, Ordering::Relaxed);
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

async fn counted(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::from(client.read_u8().await?)];
    client.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// A world whose sites have names that this machine cannot resolve. Addresses of this machine itself would bypass the
/// proxy.
async fn world_of_names() -> World {
    let mut world = World::plain(3).await;
    let mut urls = world.simulator.urls();
    for (url, name) in [
        (&mut urls.finnomena, "finnomena.test"),
        (&mut urls.wealthmagik, "wealthmagik.test"),
        (&mut urls.sec_page, "page.sec.test"),
        (&mut urls.sec_api, "api.sec.test"),
    ] {
        *url = url.replace("127.0.0.1", name);
    }
    world.settings.urls = Some(urls);
    world.settings.more = "patience: (host_back_off_secs: (1, 1), host_wait_secs: 2),".to_owned();
    world
}

/// All requests go through the SOCKS proxy, which resolves the names. The password appears in no line.
#[tokio::test(flavor = "multi_thread")]
async fn a_socks_proxy_with_a_password_is_used_for_every_site() {
    let proxy = SocksProxy::start().await;
    for variable in ["ALL_PROXY", "http_proxy"] {
        let world = world_of_names().await;
        let before = proxy.served.load(Ordering::Relaxed);
        let mut command = world.command(&MONTHLY);
        command
            .env(
                variable,
                format!("socks5h://me:hunter2@127.0.0.1:{}", proxy.port),
            )
            .env("RUST_LOG", "debug");
        let run = crate::world::ended(command.spawn().expect("it starts")).await;
        run.exits(0);
        assert!(!run.output.contains("hunter2"), "{}", run.output);
        let codes = world.active(2);
        let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
        world.assert_truth_of("funds_daily", &codes).await;
        assert!(
            proxy.served.load(Ordering::Relaxed) >= before + 3,
            "{variable}"
        );
    }
}

/// If the proxy does not answer, the error names the proxy, not the sites. No request bypasses it.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_is_down_is_named_by_its_variable() {
    for (variable, scheme) in [
        ("ALL_PROXY", "socks5"),
        ("all_proxy", "socks4a"),
        ("http_proxy", "http"),
    ] {
        let world = world_of_names().await;
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port is free")
            .port();
        let mut command = world.command(&MONTHLY);
        command.env(variable, format!("{scheme}://me:hunter2@127.0.0.1:{port}"));
        let run = crate::world::ended(command.spawn().expect("it starts")).await;
        run.says("proxy").says(variable);
        assert!(!run.output.contains("hunter2"), "{}", run.output);
        assert_ne!(run.code, Some(0), "{}", run.output);
        assert_eq!(world.simulator.log().requests.len(), 0);
    }
}

/// Unusable proxies are reported at the start by the name of their variable, never with their password.
#[tokio::test(flavor = "multi_thread")]
async fn an_unusable_proxy_is_refused_by_its_variable() {
    let world = World::plain(3).await;
    for (variable, value) in [
        ("ALL_PROXY", "ftp://me:hunter2@proxy.example"),
        ("https_proxy", "http://me:hunter2@proxy:port"),
        ("NO_PROXY", "10.0.0.0/99"),
    ] {
        let mut command = world.command(&MONTHLY);
        command.env(variable, value).env("RUST_LOG", "trace");
        let run = crate::world::ended(command.spawn().expect("it starts")).await;
        run.exits(1).says(variable);
        assert!(!run.output.contains("hunter2"), "{}", run.output);
    }
    assert_eq!(world.simulator.log().requests.len(), 0);
}
