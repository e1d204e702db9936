//! Transactions built from requests: each unit is added as a request, and its reply is read by its own type.

use std::marker::PhantomData;

use enroll_protocol::transaction::{Reply, Run, Unit};
use enroll_protocol::{Invalid, Operation};

/// Several writes that are done as one, all or none.
///
/// ```no_run
/// use enroll_client::protocol::{person, role};
/// use enroll_client::{Client, Transaction};
///
/// # async fn example(client: &Client) -> Result<(), Box<dyn std::error::Error>> {
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
/// ```no_run
/// use enroll_client::{Client, Transaction, protocol::person};
///
/// # async fn example(client: &Client) -> Result<(), Box<dyn std::error::Error>> {
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
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a write. Returns what reads its reply.
    pub fn add<O: Operation>(&mut self, operation: &O) -> Place<O> {
        self.units.push(Unit::of(operation));
        Place { at: self.units.len() - 1, operation: PhantomData }
    }

    /// The request.
    pub fn run(self) -> Run {
        Run { units: self.units }
    }
}

impl<O: Operation> Place<O> {
    /// The reply to this unit. Refuses the replies of another transaction.
    pub fn of(&self, replies: &[Reply]) -> Result<O::Reply, Invalid> {
        let missing = || Invalid(format!("there is no reply to unit {}", self.at));
        replies.get(self.at).ok_or_else(missing)?.read::<O>()
    }
}
