//! The futures of answers. Dropping one cancels the wait; a request that was sent is still executed.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use enroll_protocol::{Operation, codec};
use tokio::sync::oneshot;

use crate::error::Error;

/// The future of an encoded reply; see [`Client::call_raw`](crate::Client::call_raw).
///
/// ```
/// use enroll_client::protocol::{Envelope, OperationRow};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let daemon = enroll_client::fake::Daemon::builder().start()?;
/// # let client = daemon.client()?;
/// # client.call(enroll_client::protocol::person::Create::new("DOGGO01a".parse()?)).await?;
/// let row = OperationRow::by_name("role.list").ok_or("no such operation")?;
/// let arguments = serde_json::value::RawValue::from_string(r#"{"person":"DOGGO01a"}"#.to_owned())?;
/// let answer = client.call_raw(row, Envelope::default(), &row.request_to_wire(&arguments)?);
/// println!("{}", row.reply_to_json(&answer.await?)?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "only its answer shows if the request succeeded"]
pub struct Answer(oneshot::Receiver<Result<Vec<u8>, Error>>);

/// The future of an operation's reply; see [`Client::call`](crate::Client::call). The request was sent when this was
/// made, so several in flight are several of these.
///
/// ```
/// use enroll_client::{by_callsign, protocol::person};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let daemon = enroll_client::fake::Daemon::builder().start()?;
/// # let client = daemon.client()?;
/// # client.call(enroll_client::protocol::person::Create::new("BOSS".parse()?)).await?;
/// # client.call(enroll_client::protocol::person::Create::new("CAT".parse()?)).await?;
/// let both = [client.call(person::Get::new(by_callsign("BOSS")?)), client.call(person::Get::new(by_callsign("CAT")?))];
/// for person in both {
///     println!("{}", person.await?.callsign);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "only its reply shows if the request succeeded"]
pub struct Reply<O>(Answer, PhantomData<fn() -> O>);

impl Answer {
    pub(crate) fn new(receiver: oneshot::Receiver<Result<Vec<u8>, Error>>) -> Self {
        Self(receiver)
    }
}

impl<O> Reply<O> {
    pub(crate) fn new(answer: Answer) -> Self {
        Self(answer, PhantomData)
    }
}

impl Future for Answer {
    type Output = Result<Vec<u8>, Error>;
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.0).poll(context));
        Poll::Ready(answer.unwrap_or_else(|_| Err(Error::Unavailable("the client's runtime has ended".to_owned()))))
    }
}

impl<O: Operation> Future for Reply<O> {
    type Output = Result<O::Reply, Error>;
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let bytes = ready!(Pin::new(&mut self.0).poll(context))?;
        let reply = codec::decode(&bytes);
        Poll::Ready(reply.map_err(|err| Error::Protocol(format!("the reply of {}: {err}", O::ROW.name))))
    }
}
