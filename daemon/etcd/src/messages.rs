//! The protobuf messages of etcd's version 3 API that this client sends and reads.
//!
//! They are declared by hand, so that a build needs no protobuf compiler. Names and field numbers are those of etcd's
//! `rpc.proto` and `kv.proto`; a field that is not listed is not used, and is skipped when it is read.

/// The head of every answer.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct ResponseHeader {
    /// The cluster that answered.
    #[prost(uint64, tag = "1")]
    pub cluster_id: u64,
    /// The member that answered.
    #[prost(uint64, tag = "2")]
    pub member_id: u64,
    /// The revision of the store when it answered.
    #[prost(int64, tag = "3")]
    pub revision: i64,
    /// The term of the consensus.
    #[prost(uint64, tag = "4")]
    pub raft_term: u64,
}

/// A key with its value and its history.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct KeyValue {
    /// The key.
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    /// The revision at which the key was made; a key that was deleted and made again has another one.
    #[prost(int64, tag = "2")]
    pub create_revision: i64,
    /// The revision of its last change.
    #[prost(int64, tag = "3")]
    pub mod_revision: i64,
    /// The number of times it was put since it was made.
    #[prost(int64, tag = "4")]
    pub version: i64,
    /// The value.
    #[prost(bytes = "vec", tag = "5")]
    pub value: Vec<u8>,
    /// The lease under which it stands; 0 for none.
    #[prost(int64, tag = "6")]
    pub lease: i64,
}

/// Reads keys.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct RangeRequest {
    /// The first key.
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    /// The key behind the last one; empty for one key alone.
    #[prost(bytes = "vec", tag = "2")]
    pub range_end: Vec<u8>,
    /// At most this many keys; 0 for all.
    #[prost(int64, tag = "3")]
    pub limit: i64,
    /// As of this revision; 0 for the newest.
    #[prost(int64, tag = "4")]
    pub revision: i64,
    /// From the member's own state, which may be behind.
    #[prost(bool, tag = "7")]
    pub serializable: bool,
    /// Keys without values.
    #[prost(bool, tag = "8")]
    pub keys_only: bool,
}

/// The keys of a range, ascending.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct RangeResponse {
    /// Its header.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    /// The keys.
    #[prost(message, repeated, tag = "2")]
    pub kvs: Vec<KeyValue>,
    /// True if the limit left some out.
    #[prost(bool, tag = "3")]
    pub more: bool,
}

/// Puts a key.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PutRequest {
    /// The key.
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    /// The value.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
    /// The lease under which it stands; 0 for none.
    #[prost(int64, tag = "3")]
    pub lease: i64,
}

/// The answer to a put.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PutResponse {
    /// Its header.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
}

/// Deletes keys.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct DeleteRangeRequest {
    /// The first key.
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    /// The key behind the last one; empty for one key alone.
    #[prost(bytes = "vec", tag = "2")]
    pub range_end: Vec<u8>,
}

/// The answer to a deletion.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct DeleteRangeResponse {
    /// Its header.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    /// The number of keys that there were.
    #[prost(int64, tag = "2")]
    pub deleted: i64,
}

/// One step of a transaction.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct RequestOp {
    /// The step.
    #[prost(oneof = "request_op::Request", tags = "1, 2, 3")]
    pub request: Option<request_op::Request>,
}

/// The steps that a transaction can have.
pub mod request_op {
    /// A step.
    #[derive(Clone, PartialEq, Eq, prost::Oneof)]
    pub enum Request {
        /// Reads keys.
        #[prost(message, tag = "1")]
        Range(super::RangeRequest),
        /// Puts a key.
        #[prost(message, tag = "2")]
        Put(super::PutRequest),
        /// Deletes keys.
        #[prost(message, tag = "3")]
        DeleteRange(super::DeleteRangeRequest),
    }
}

/// The answer to one step of a transaction.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ResponseOp {
    /// The answer.
    #[prost(oneof = "response_op::Response", tags = "1, 2, 3")]
    pub response: Option<response_op::Response>,
}

/// The answers that a step can have.
pub mod response_op {
    /// An answer.
    #[derive(Clone, PartialEq, Eq, prost::Oneof)]
    pub enum Response {
        /// Keys that were read.
        #[prost(message, tag = "1")]
        Range(super::RangeResponse),
        /// A key was put.
        #[prost(message, tag = "2")]
        Put(super::PutResponse),
        /// Keys were deleted.
        #[prost(message, tag = "3")]
        DeleteRange(super::DeleteRangeResponse),
    }
}

/// A condition of a transaction. Only equality is used.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Compare {
    /// The relation: 0 is equality, 1 is more.
    #[prost(int32, tag = "1")]
    pub result: i32,
    /// The property that is compared: 0 the version, 1 the revision at which it was made.
    #[prost(int32, tag = "2")]
    pub target: i32,
    /// The key.
    #[prost(bytes = "vec", tag = "3")]
    pub key: Vec<u8>,
    /// The value that the property must have.
    #[prost(oneof = "compare::TargetUnion", tags = "4, 5")]
    pub target_union: Option<compare::TargetUnion>,
}

/// The values that can be compared with.
pub mod compare {
    /// A value.
    #[derive(Clone, Copy, PartialEq, Eq, prost::Oneof)]
    pub enum TargetUnion {
        /// The number of times the key was put; 0 for a key that is not there.
        #[prost(int64, tag = "4")]
        Version(i64),
        /// The revision at which the key was made; 0 for a key that is not there.
        #[prost(int64, tag = "5")]
        CreateRevision(i64),
    }
}

/// A transaction: if all conditions hold the first steps, else the others.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct TxnRequest {
    /// The conditions.
    #[prost(message, repeated, tag = "1")]
    pub compare: Vec<Compare>,
    /// The steps where they hold.
    #[prost(message, repeated, tag = "2")]
    pub success: Vec<RequestOp>,
    /// The steps where one does not.
    #[prost(message, repeated, tag = "3")]
    pub failure: Vec<RequestOp>,
}

/// The answer to a transaction.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct TxnResponse {
    /// Its header.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    /// True if the conditions held.
    #[prost(bool, tag = "2")]
    pub succeeded: bool,
    /// An answer for each step.
    #[prost(message, repeated, tag = "3")]
    pub responses: Vec<ResponseOp>,
}

/// Forgets the history before a revision.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct CompactionRequest {
    /// The first revision that is kept.
    #[prost(int64, tag = "1")]
    pub revision: i64,
}

/// The answer to a compaction.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct CompactionResponse {}

/// A request on a stream of watches. Only the creation is used: a stream carries one watch.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct WatchRequest {
    /// The watch to create.
    #[prost(message, optional, tag = "1")]
    pub create_request: Option<WatchCreateRequest>,
}

/// A watch.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct WatchCreateRequest {
    /// The first key.
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    /// The key behind the last one; empty for one key alone.
    #[prost(bytes = "vec", tag = "2")]
    pub range_end: Vec<u8>,
    /// The first revision that is told; 0 for what comes.
    #[prost(int64, tag = "3")]
    pub start_revision: i64,
    /// True if a message that would be too large comes in several.
    #[prost(bool, tag = "8")]
    pub fragment: bool,
}

/// A message of a watch.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct WatchResponse {
    /// Its header.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    /// True if it is the answer to the creation.
    #[prost(bool, tag = "3")]
    pub created: bool,
    /// True if the watch has ended.
    #[prost(bool, tag = "4")]
    pub canceled: bool,
    /// The oldest revision that is kept, where the watch asked for an older one; else 0.
    #[prost(int64, tag = "5")]
    pub compact_revision: i64,
    /// Why it has ended.
    #[prost(string, tag = "6")]
    pub cancel_reason: String,
    /// The changes, in their order.
    #[prost(message, repeated, tag = "11")]
    pub events: Vec<Event>,
}

/// A change of a key.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Event {
    /// 0 for a put, 1 for a deletion.
    #[prost(int32, tag = "1")]
    pub kind: i32,
    /// The key; of one that was deleted, without a value.
    #[prost(message, optional, tag = "2")]
    pub kv: Option<KeyValue>,
}

/// Makes a lease.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct LeaseGrantRequest {
    /// Its time to live in seconds.
    #[prost(int64, tag = "1")]
    pub ttl: i64,
    /// Its id; 0 lets the server choose.
    #[prost(int64, tag = "2")]
    pub id: i64,
}

/// A lease that was made.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct LeaseGrantResponse {
    /// Its id.
    #[prost(int64, tag = "2")]
    pub id: i64,
    /// Its time to live in seconds, which may be longer than what was asked for.
    #[prost(int64, tag = "3")]
    pub ttl: i64,
    /// Why it was not made; empty if it was.
    #[prost(string, tag = "4")]
    pub error: String,
}

/// Ends a lease and deletes its keys.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct LeaseRevokeRequest {
    /// The lease.
    #[prost(int64, tag = "1")]
    pub id: i64,
}

/// The answer to the end of a lease.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct LeaseRevokeResponse {}

/// Prolongs a lease by its time to live.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct LeaseKeepAliveRequest {
    /// The lease.
    #[prost(int64, tag = "1")]
    pub id: i64,
}

/// A lease that was prolonged.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct LeaseKeepAliveResponse {
    /// The lease.
    #[prost(int64, tag = "2")]
    pub id: i64,
    /// Its time to live in seconds; 0 if it has ended.
    #[prost(int64, tag = "3")]
    pub ttl: i64,
}

/// Asks a member about itself.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct StatusRequest {}

/// A member's state.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct StatusResponse {
    /// Its header.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    /// The server's version.
    #[prost(string, tag = "2")]
    pub version: String,
    /// Bytes of its database's file.
    #[prost(int64, tag = "3")]
    pub db_size: i64,
    /// The member that leads; 0 if none does.
    #[prost(uint64, tag = "4")]
    pub leader: u64,
    /// Alarms and other conditions.
    #[prost(string, repeated, tag = "8")]
    pub errors: Vec<String>,
    /// Bytes of that file which are in use.
    #[prost(int64, tag = "9")]
    pub db_size_in_use: i64,
}

/// Logs in.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct AuthenticateRequest {
    /// The user.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Their password.
    #[prost(string, tag = "2")]
    pub password: String,
}

/// A session.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct AuthenticateResponse {
    /// The token that every request of the session carries.
    #[prost(string, tag = "2")]
    pub token: String,
}
