//! TLS connections to the database with rustls: certificate checks like libpq's, and SCRAM channel binding (RFC 5929).

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use deadpool_postgres::Connect;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres::{Client, Config, Error};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::{WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{
    CertificateDer, IpAddr, Ipv4Addr, PrivateKeyDer, ServerName, UnixTime,
};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    self, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use super::address::{Authorities, DatabaseAddress, TlsMode, TlsSettings};
use super::error::StoreError;

/// Opens connections to one address.
#[derive(Clone)]
pub(super) struct Connector {
    config: Config,
    mode: TlsMode,
    tls: MakeRustls,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector")
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

impl Connector {
    /// Reads the certificates that the TLS parameters of the address name, or libpq's default file of authorities.
    ///
    /// # Errors
    /// A file of certificates cannot be read or contains no certificate, or the operating system has no authorities.
    pub fn of(address: DatabaseAddress) -> Result<Self, StoreError> {
        // Without TLS, no file is read.
        let settings = match address.config.get_ssl_mode() {
            SslMode::Disable => TlsSettings {
                mode: TlsMode::Disable,
                ..TlsSettings::default()
            },
            _ => address.tls.with_default_file(default_file()),
        };
        Ok(Self {
            tls: MakeRustls(
                Arc::new(client_config(&settings).map_err(StoreError::Refused)?),
                settings.mode,
            ),
            mode: settings.mode,
            config: address.config,
        })
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// Connects. With `prefer`, retries without TLS if the server refuses TLS, as libpq does.
    pub async fn connect(&self) -> Result<(Client, JoinHandle<()>), Error> {
        match self.connect_as(&self.config).await {
            Err(error) if self.mode == TlsMode::Prefer && refuses_tls(&error) => {
                let mut plain = self.config.clone();
                plain.ssl_mode(SslMode::Disable);
                // If both attempts fail, the first error is returned: if the server supports TLS, it has the real
                // reason.
                self.connect_as(&plain).await.map_err(|_| error)
            }
            connected => connected,
        }
    }

    async fn connect_as(&self, config: &Config) -> Result<(Client, JoinHandle<()>), Error> {
        let (client, connection) = config.connect(self.tls.clone()).await?;
        let talking = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the database ended");
            }
        });
        Ok((client, talking))
    }
}

impl Connect for Connector {
    fn connect(
        &self,
        _config: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + '_>> {
        Box::pin(self.connect())
    }
}

fn refuses_tls(error: &Error) -> bool {
    tls_failure(error).is_some()
        || error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
}

/// Returns the error of the TLS library if the handshake failed.
pub(super) fn tls_failure<'error>(
    error: &'error (dyn std::error::Error + 'static),
) -> Option<&'error rustls::Error> {
    let mut cause = Some(error);
    while let Some(inner) = cause {
        let wrapped = inner
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        if let Some(failure) = wrapped.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Some(failure);
        }
        cause = inner.source();
    }
    None
}

fn client_config(settings: &TlsSettings) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::of(settings, &provider)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &settings.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates("sslcert", certificate)?;
            let private = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| unreadable("sslkey", key, &error))?;
            builder
                .with_client_auth_cert(chain, private)
                .map_err(|error| {
                    format!(
                        "sslcert {} and sslkey {} cannot be used together: {error}",
                        certificate.display(),
                        key.display()
                    )
                })?
        }
    };
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(config)
}

fn unreadable(parameter: &str, file: &Path, error: &dyn std::fmt::Display) -> String {
    format!(
        "the file of {parameter}, {}, cannot be read: {error}; expected PEM",
        file.display()
    )
}

fn certificates(parameter: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(parameter, file, &error))?;
    if read.is_empty() {
        return Err(unreadable(parameter, file, &"it holds no certificate"));
    }
    Ok(read)
}

/// The path of libpq's default file of authorities, `~/.postgresql/root.crt`, if it exists.
fn default_file() -> Option<PathBuf> {
    let home = std::env::var_os("HOME")?;
    let file = Path::new(&home).join(".postgresql/root.crt");
    file.exists().then_some(file)
}

fn trusted(authorities: &Authorities) -> Result<Vec<CertificateDer<'static>>, String> {
    if let Authorities::File(file) = authorities {
        return certificates("sslrootcert", file);
    }
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        return Err(
            "this machine has no certificates of authorities; install the package ca-certificates, or name a file with sslrootcert"
                .to_owned(),
        );
    }
    Ok(found.certs)
}

/// Checks the server's certificate as `sslmode` requires.
#[derive(Debug)]
struct Verifier {
    mode: TlsMode,
    authorities: Vec<CertificateDer<'static>>,
    chain: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn of(settings: &TlsSettings, provider: &Arc<CryptoProvider>) -> Result<Self, String> {
        let checks = matches!(settings.mode, TlsMode::VerifyCa | TlsMode::VerifyFull);
        let authorities = if checks {
            trusted(&settings.authorities)?
        } else {
            Vec::new()
        };
        let chain = if checks {
            let mut store = RootCertStore::empty();
            store.add_parsable_certificates(authorities.iter().cloned());
            let built =
                WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider))
                    .build()
                    .map_err(|error| {
                        format!("the certificates of sslrootcert cannot be used: {error}")
                    })?;
            Some(built)
        } else {
            None
        };
        Ok(Self {
            mode: settings.mode,
            authorities,
            chain,
            provider: Arc::clone(provider),
        })
    }

    /// Accepts a certificate that the library cannot check, such as one of X.509 version 1, if the mode requires no
    /// check.
    fn leniently(
        &self,
        checked: Result<HandshakeSignatureValid, rustls::Error>,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match checked {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::BadEncoding | CertificateError::Other(_),
            )) if self.chain.is_none() => Ok(HandshakeSignatureValid::assertion()),
            checked => checked,
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        // A certificate that is itself in sslrootcert is self-signed, as in small installations. It needs no chain.
        if !self.authorities.iter().any(|known| known == end_entity) {
            match chain.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            ) {
                Err(rustls::Error::InvalidCertificate(
                    CertificateError::NotValidForName
                    | CertificateError::NotValidForNameContext { .. },
                )) if self.mode == TlsMode::VerifyCa => {}
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        } else if self.mode == TlsMode::VerifyFull {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.leniently(verify_tls12_signature(
            message,
            certificate,
            signed,
            algorithms,
        ))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.leniently(verify_tls13_signature(
            message,
            certificate,
            signed,
            algorithms,
        ))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Creates TLS streams.
#[derive(Clone)]
struct MakeRustls(Arc<ClientConfig>, TlsMode);

impl<S> MakeTlsConnect<S> for MakeRustls
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Encrypted<S>;
    type TlsConnect = Handshake;
    type Error = std::convert::Infallible;

    fn make_tls_connect(&mut self, host: &str) -> Result<Handshake, Self::Error> {
        let name = ServerName::try_from(host.to_owned()).ok().or_else(|| {
            // Without a host name, a placeholder is used, except for verify-full, which compares the name.
            (self.1 != TlsMode::VerifyFull)
                .then(|| ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([0, 0, 0, 0]))))
        });
        Ok(Handshake {
            connector: TlsConnector::from(Arc::clone(&self.0)),
            name,
        })
    }
}

/// A TLS handshake that has not started yet.
struct Handshake {
    connector: TlsConnector,
    name: Option<ServerName<'static>>,
}

impl<S> TlsConnect<S> for Handshake
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Encrypted<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let Some(name) = self.name else {
                return Err(io::Error::other(rustls::Error::General(
                    "sslmode=verify-full needs a host name to compare with the certificate: give host beside hostaddr".to_owned(),
                )));
            };
            let stream = self.connector.connect(name, stream).await?;
            Ok(Encrypted(stream))
        })
    }
}

/// A TLS stream.
struct Encrypted<S>(tokio_rustls::client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Encrypted<S> {
    /// The hash of the server's certificate (RFC 5929, section 4.1).
    fn channel_binding(&self) -> ChannelBinding {
        let certificates = self.0.get_ref().1.peer_certificates();
        let hash = certificates
            .and_then(|chain| chain.first())
            .and_then(|certificate| certificate_hash(certificate));
        match hash {
            Some(hash) => ChannelBinding::tls_server_end_point(hash),
            None => ChannelBinding::none(),
        }
    }
}

/// Hashes a certificate with the hash function of its signature, and with SHA-256 instead of MD5 and SHA-1. `None` if
/// the signature has no hash function, as with Ed25519.
fn certificate_hash(der: &[u8]) -> Option<Vec<u8>> {
    // Certificate ::= SEQUENCE { tbsCertificate SEQUENCE, signatureAlgorithm SEQUENCE { OID, … }, … }
    let (certificate, _) = element(der)?;
    let (_, rest) = element(certificate)?;
    let (algorithm, _) = element(rest)?;
    let (oid, _) = element(algorithm)?;
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    const ECDSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01];
    const ECDSA_SHA2: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
    let last = *oid.last()?;
    let bits = if oid == ECDSA_SHA1 {
        256
    } else if oid.starts_with(RSA) {
        // PKCS #1: 4 md5, 5 sha1, 11 sha256, 12 sha384, 13 sha512.
        match last {
            4 | 5 | 11 => 256,
            12 => 384,
            13 => 512,
            _ => return None,
        }
    } else if oid.starts_with(ECDSA_SHA2) {
        match last {
            2 => 256,
            3 => 384,
            4 => 512,
            _ => return None,
        }
    } else {
        return None;
    };
    Some(match bits {
        256 => Sha256::digest(der).to_vec(),
        384 => Sha384::digest(der).to_vec(),
        _ => Sha512::digest(der).to_vec(),
    })
}

/// Returns the content of the first DER element, and the bytes after it.
fn element(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        let length = bytes.iter().try_fold(0_usize, |length, byte| {
            length.checked_mul(256)?.checked_add(usize::from(*byte))
        })?;
        (length, rest)
    };
    rest.split_at_checked(length)
}
