//! The client: unary calls with a deadline, at one member of the cluster until that one fails.
//!
//! A call is tried once. Which calls may be repeated, and until when, only the caller knows; a repetition goes to the next
//! member. A session of a user is opened with the first call and again when the server no longer knows it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use prost::Message;
use tokio::sync::Mutex;
use tokio_stream::StreamExt as _;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use crate::error::{Error, of_status};
use crate::messages::{
    AuthenticateRequest, AuthenticateResponse, CompactionRequest, CompactionResponse, DeleteRangeRequest,
    DeleteRangeResponse, LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse,
    LeaseRevokeRequest, LeaseRevokeResponse, RangeRequest, RangeResponse, StatusRequest, StatusResponse, TxnResponse,
    WatchCreateRequest, WatchRequest,
};
use crate::txn::Txn;
use crate::watch::Watch;

/// Room for a page of a range, or for one value of the largest size.
const MESSAGE_BYTES_MAX: usize = 32 << 20;

/// Where etcd is, and as whom it is asked.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The members' addresses, such as `https://a:2379`.
    pub endpoints: Vec<String>,
    /// The certificate authority of the members, in PEM; without it, the addresses begin with `http:`.
    pub ca: Option<PathBuf>,
    /// This client's certificate and key, in PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// A user and their password.
    pub user: Option<(String, String)>,
    /// The time that a call may take.
    pub timeout: Duration,
}

/// A client of one cluster. Calls may be made from several tasks at once.
#[derive(Debug)]
pub struct Client {
    members: Vec<Member>,
    /// The member that is asked.
    current: AtomicUsize,
    user: Option<(String, String)>,
    /// The token of the user's session, once there is one.
    session: Mutex<Option<String>>,
    timeout: Duration,
}

#[derive(Debug)]
struct Member {
    endpoint: String,
    channel: Channel,
}

impl Client {
    /// A client that connects with its first call. Must be called within a tokio runtime.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let tls = tls(config)?;
        let member = |endpoint: &String| {
            let unusable = |err: tonic::transport::Error| Error::Configuration(format!("{endpoint}: {err}"));
            let channel = Endpoint::from_shared(endpoint.clone()).map_err(unusable)?;
            let channel = channel.connect_timeout(config.timeout).tcp_nodelay(true);
            let channel = channel.http2_keep_alive_interval(config.timeout).keep_alive_timeout(config.timeout);
            let channel = match tls.clone().filter(|_| endpoint.starts_with("https:")) {
                Some(tls) => channel.tls_config(tls).map_err(unusable)?,
                None => channel,
            };
            Ok(Member { endpoint: endpoint.clone(), channel: channel.connect_lazy() })
        };
        let members = config.endpoints.iter().map(member).collect::<Result<Vec<_>, _>>()?;
        if members.is_empty() {
            return Err(Error::Configuration("no endpoint is named".to_owned()));
        }
        let (user, timeout) = (config.user.clone(), config.timeout);
        Ok(Self { members, current: AtomicUsize::new(0), user, session: Mutex::new(None), timeout })
    }

    /// Runs a transaction.
    pub async fn txn(&self, txn: Txn) -> Result<TxnResponse, Error> {
        self.call("/etcdserverpb.KV/Txn", txn.request).await
    }

    /// Reads keys, linearizably unless asked otherwise.
    pub async fn range(&self, range: RangeRequest) -> Result<RangeResponse, Error> {
        self.call("/etcdserverpb.KV/Range", range).await
    }

    /// Deletes the keys from the first to before the second, and returns how many there were.
    pub async fn delete_range(&self, key: impl Into<Vec<u8>>, range_end: impl Into<Vec<u8>>) -> Result<i64, Error> {
        let range = DeleteRangeRequest { key: key.into(), range_end: range_end.into() };
        let response: DeleteRangeResponse = self.call("/etcdserverpb.KV/DeleteRange", range).await?;
        Ok(response.deleted)
    }

    /// Forgets the history before a revision; a history that is forgotten already is no error.
    pub async fn compact(&self, revision: i64) -> Result<(), Error> {
        let compacted: Result<CompactionResponse, Error> =
            self.call("/etcdserverpb.KV/Compact", CompactionRequest { revision }).await;
        match compacted {
            Ok(_) | Err(Error::Compacted(_)) => Ok(()),
            Err(err) => Err(err),
        }
    }

    /// Makes a lease and returns its id, and its time to live, which is at least the one asked for.
    pub async fn grant_lease(&self, ttl: Duration) -> Result<(i64, Duration), Error> {
        let seconds = i64::try_from(ttl.as_secs().max(1)).unwrap_or(i64::MAX);
        let request = LeaseGrantRequest { ttl: seconds, id: 0 };
        let lease: LeaseGrantResponse = self.call("/etcdserverpb.Lease/LeaseGrant", request).await?;
        match u64::try_from(lease.ttl) {
            Ok(ttl) if lease.error.is_empty() && ttl > 0 => Ok((lease.id, Duration::from_secs(ttl))),
            _ => Err(Error::Refused(lease.error)),
        }
    }

    /// Prolongs a lease by its time to live. Fails with [`Error::NoLease`] if it has ended.
    pub async fn keep_alive(&self, lease: i64) -> Result<Duration, Error> {
        let answers = self.stream("/etcdserverpb.Lease/LeaseKeepAlive", LeaseKeepAliveRequest { id: lease });
        let (mut answers, endpoint) = answers.await?;
        let answer: LeaseKeepAliveResponse = tokio::time::timeout(self.timeout, answers.message())
            .await
            .map_err(|_| self.failed(&endpoint, "no answer in time"))?
            .map_err(|status| self.refused(&endpoint, &status))?
            .ok_or(Error::Protocol("a lease's stream ended"))?;
        match u64::try_from(answer.ttl) {
            Ok(ttl) if ttl > 0 => Ok(Duration::from_secs(ttl)),
            _ => Err(Error::NoLease),
        }
    }

    /// Ends a lease and deletes what stands under it; one that has ended is no error.
    pub async fn revoke_lease(&self, lease: i64) -> Result<(), Error> {
        let request = LeaseRevokeRequest { id: lease };
        let revoked: Result<LeaseRevokeResponse, Error> = self.call("/etcdserverpb.Lease/LeaseRevoke", request).await;
        match revoked {
            Ok(_) | Err(Error::NoLease) => Ok(()),
            Err(err) => Err(err),
        }
    }

    /// Watches the keys from the first to before the second, from this revision on.
    pub async fn watch(
        &self,
        key: impl Into<Vec<u8>>,
        range_end: impl Into<Vec<u8>>,
        start_revision: i64,
    ) -> Result<Watch, Error> {
        // Without fragments, what a watcher missed comes in one message, which may exceed any limit.
        let create =
            WatchCreateRequest { key: key.into(), range_end: range_end.into(), start_revision, fragment: true };
        let request = WatchRequest { create_request: Some(create) };
        let (messages, endpoint) = self.stream("/etcdserverpb.Watch/Watch", request).await?;
        Ok(Watch::new(messages, endpoint))
    }

    /// The state of the member that is asked.
    pub async fn status(&self) -> Result<StatusResponse, Error> {
        self.call("/etcdserverpb.Maintenance/Status", StatusRequest {}).await
    }

    /// One unary call at the current member.
    async fn call<Q, A>(&self, path: &'static str, message: Q) -> Result<A, Error>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let again = message.clone();
        match self.call_once(path, message).await {
            Err(Error::Denied(_)) if self.user.is_some() => {
                // The server has forgotten the session, as it does when it restarts or after its time.
                *self.session.lock().await = None;
                self.call_once(path, again).await
            }
            done => done,
        }
    }

    async fn call_once<Q, A>(&self, path: &'static str, message: Q) -> Result<A, Error>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let member = self.member();
        let called = async {
            let request = self.request(member, message).await?;
            unary(member, path, request).await.map_err(|status| self.refused(&member.endpoint, &status))
        };
        tokio::time::timeout(self.timeout, called)
            .await
            .unwrap_or_else(|_| Err(self.failed(&member.endpoint, "no answer in time")))
    }

    /// Opens a stream with one request; its answers, and the member they come from.
    async fn stream<Q, A>(&self, path: &'static str, message: Q) -> Result<(tonic::Streaming<A>, String), Error>
    where
        Q: Message + Clone + Sync + 'static,
        A: Message + Default + 'static,
    {
        let member = self.member();
        let opened = async {
            // A stream whose sender is done could be ended by the server.
            let request = self.request(member, message).await?;
            let request = request.map(|message| tokio_stream::once(message).chain(tokio_stream::pending()));
            let mut grpc = grpc(member);
            grpc.ready().await.map_err(|err| self.failed(&member.endpoint, &err.to_string()))?;
            let answers = grpc.streaming(request, PathAndQuery::from_static(path), ProstCodec::default()).await;
            answers.map_err(|status| self.refused(&member.endpoint, &status))
        };
        let answers = tokio::time::timeout(self.timeout, opened)
            .await
            .unwrap_or_else(|_| Err(self.failed(&member.endpoint, "no answer in time")))?;
        Ok((answers.into_inner(), member.endpoint.clone()))
    }

    /// A request with the token of the user's session.
    async fn request<Q>(&self, member: &Member, message: Q) -> Result<Request<Q>, Error> {
        let mut request = Request::new(message);
        let Some((name, password)) = &self.user else { return Ok(request) };
        let mut session = self.session.lock().await;
        let token = match &*session {
            Some(token) => token.clone(),
            None => {
                let login = AuthenticateRequest { name: name.clone(), password: password.clone() };
                let answer: AuthenticateResponse =
                    unary(member, "/etcdserverpb.Auth/Authenticate", Request::new(login))
                        .await
                        .map_err(|status| self.refused(&member.endpoint, &status))?;
                session.insert(answer.token).clone()
            }
        };
        let token = MetadataValue::try_from(token).map_err(|_| Error::Protocol("a token is no header"))?;
        request.metadata_mut().insert("token", token);
        Ok(request)
    }

    fn member(&self) -> &Member {
        &self.members[self.current.load(Ordering::Relaxed) % self.members.len()]
    }

    /// A call that this member did not answer; the next call goes to the next member.
    fn failed(&self, endpoint: &str, why: &str) -> Error {
        self.leave(endpoint);
        Error::Unavailable { endpoint: endpoint.to_owned(), why: why.to_owned() }
    }

    fn refused(&self, endpoint: &str, status: &Status) -> Error {
        let err = of_status(endpoint, status);
        if err.is_transient() {
            self.leave(endpoint);
        }
        err
    }

    /// Goes on to the next member, unless another call already has.
    fn leave(&self, endpoint: &str) {
        let current = self.current.load(Ordering::Relaxed);
        if self.members[current % self.members.len()].endpoint == endpoint {
            let next = (current + 1) % self.members.len();
            let _ = self.current.compare_exchange(current, next, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

fn grpc(member: &Member) -> Grpc<Channel> {
    Grpc::new(member.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

async fn unary<Q, A>(member: &Member, path: &'static str, request: Request<Q>) -> Result<A, Status>
where
    Q: Message + 'static,
    A: Message + Default + 'static,
{
    let mut grpc = grpc(member);
    grpc.ready().await.map_err(|err| Status::from_error(err.into()))?;
    let answer = grpc.unary(request, PathAndQuery::from_static(path), ProstCodec::default()).await?;
    Ok(answer.into_inner())
}

fn tls(config: &Config) -> Result<Option<ClientTlsConfig>, Error> {
    let Some(ca) = &config.ca else { return Ok(None) };
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read_pem(ca, "CERTIFICATE")?));
    let Some((certificate, key)) = &config.identity else { return Ok(Some(tls)) };
    let identity = Identity::from_pem(read_pem(certificate, "CERTIFICATE")?, read_pem(key, "PRIVATE KEY")?);
    Ok(Some(tls.identity(identity)))
}

/// Reads a PEM file with a block of this label, such as `CERTIFICATE`.
fn read_pem(path: &Path, label: &str) -> Result<String, Error> {
    let unusable = |why: String| Error::Configuration(format!("{}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|err| unusable(err.to_string()))?;
    let has_block = text.lines().any(|line| line.starts_with("-----BEGIN") && line.contains(label));
    if has_block { Ok(text) } else { Err(unusable(format!("this file has no {}", label.to_lowercase()))) }
}
