//! Transactions built from requests: each unit is added as a request, and its reply is read by its own type.

use std::marker::PhantomData;

use enroll_protocol::transaction::{Reply, Run, Unit};
use enroll_protocol::{Invalid, Operation};

/// Several writes that are done as one, all or none.
///
/// ```
/// use enroll_client::protocol::{person, role};
/// use enroll_client::Transaction;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let daemon = enroll_client::fake::Daemon::builder().start()?;
/// # let client = daemon.client()?;
/// let mut transaction = Transaction::new();
/// let dog = transaction.add(&person::Create::new("DOGGO01a".parse()?));
/// let given = transaction.add(&role::Assign { person: "DOGGO01a".parse()?, role: "member".parse()? });
/// let replies = client.call(transaction.run()).await?;
/// assert!(given.of(&replies)?);
/// println!("{}", dog.of(&replies)?.pk);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Transaction {
    units: Vec<Unit>,
}

/// A unit of a transaction: reads its reply.
///
/// ```
/// use enroll_client::{Transaction, protocol::person};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let daemon = enroll_client::fake::Daemon::builder().start()?;
/// # let client = daemon.client()?;
/// let mut transaction = Transaction::new();
/// let dog = transaction.add(&person::Create::new("DOGGO01a".parse()?));
/// let replies = client.call(transaction.run()).await?;
/// assert_eq!(dog.of(&replies)?.callsign.as_str(), "DOGGO01a");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Place<O> {
    at: usize,
    operation: PhantomData<fn() -> O>,
}

impl Transaction {
    /// A transaction without units.
    ///
    /// The example stands at [`Transaction`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a write. Returns what reads its reply.
    ///
    /// ```
    /// # use enroll_client::{Transaction, fake::Daemon, protocol::{Code, token}};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let daemon = Daemon::builder().start()?;
    /// # let client = daemon.client()?;
    /// let mut transaction = Transaction::new();
    /// for nonce in ["one", "two", "one"] {
    ///     transaction.add(&token::Use::new(nonce.parse()?));
    /// }
    /// let refused = client.call(transaction.run()).await.expect_err("the third is the first again");
    /// assert_eq!(refused.refusal().map(|refusal| refusal.code), Some(Code::TOKEN_REUSE));
    /// // Nothing was done, so both tokens are still good.
    /// client.call(token::Use::new("one".parse()?)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn add<O: Operation>(&mut self, operation: &O) -> Place<O> {
        self.units.push(Unit::of(operation));
        Place { at: self.units.len() - 1, operation: PhantomData }
    }

    /// The request.
    ///
    /// It is called as any other operation, also with a key or as a dry run. The example stands at [`Transaction`].
    pub fn run(self) -> Run {
        Run { units: self.units }
    }
}

impl<O: Operation> Place<O> {
    /// The reply to this unit. Refuses the replies of another transaction.
    ///
    /// The example stands at [`Place`].
    pub fn of(&self, replies: &[Reply]) -> Result<O::Reply, Invalid> {
        let missing = || Invalid(format!("there is no reply to unit {}", self.at));
        replies.get(self.at).ok_or_else(missing)?.read::<O>()
    }
}
