//! Codes that are looked up or wrong in a simulation, and the windows in which wrong ones are counted: of each user and
//! origin so many a minute, after which every code is refused, a right one too.

use enroll_protocol::{Code, Envelope, LoginCode, Time, code, enrollment, pool};
use rand::RngExt as _;
use rand::rngs::ChaCha20Rng;

use super::answers::{self, decode};
use super::model::{Done, Model, Reply};
use super::operations::{Encoded, Op, encoded, named};

/// Seconds of a window, from its first wrong code on.
const WINDOW_SECONDS: u64 = 60;

/// A user and the origin that it names.
pub(super) type Source = (u32, String);

/// A window that wrong codes began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) since: Time,
    pub(super) count: u32,
    /// The first look at the clocks that the requests which began it may have been run at.
    pub(super) seen: usize,
}

impl Window {
    /// True if it is over at this time, or the clock was set back behind it.
    pub(super) fn has_passed(&self, at: Time) -> bool {
        at >= self.since.plus_seconds(WINDOW_SECONDS) || self.since >= at.plus_seconds(WINDOW_SECONDS)
    }
}

/// A request that brings a code and changes nothing. Without a code it brings one that nothing has.
#[derive(Debug, Clone)]
pub(super) enum Ask {
    CheckPool {
        code: Option<(usize, String)>,
    },
    GetCode {
        code: Option<(usize, LoginCode)>,
    },
    /// Approves with another approve code than the enrollment's.
    ApproveWrongly {
        name: usize,
    },
}

impl Ask {
    pub(super) fn draw(
        random: &mut ChaCha20Rng,
        name: usize,
        invite: Option<(usize, String)>,
        code: Option<(usize, LoginCode)>,
    ) -> Self {
        let is_right = random.random_bool(0.5);
        match random.random_range(0..6) {
            0..=2 => Self::CheckPool { code: invite.filter(|_| is_right) },
            3 | 4 => Self::GetCode { code: code.filter(|_| is_right) },
            _ => Self::ApproveWrongly { name },
        }
    }

    pub(super) fn writes(&self) -> bool {
        matches!(self, Self::ApproveWrongly { .. })
    }

    /// The person or enrollment that it names.
    pub(super) fn name(&self) -> Option<usize> {
        if let Self::ApproveWrongly { name } = self { Some(*name) } else { None }
    }

    /// The request that made the code.
    pub(super) fn about(&self) -> Option<usize> {
        match self {
            Self::CheckPool { code } => code.as_ref().map(|(made, _)| *made),
            Self::GetCode { code } => code.as_ref().map(|(made, _)| *made),
            Self::ApproveWrongly { .. } => None,
        }
    }

    pub(super) fn encode(&self, envelope: &Envelope) -> Encoded {
        match self {
            Self::CheckPool { code } => {
                let invitecode = code.as_ref().map_or("NOSUCHPOOL", |(_, code)| code);
                encoded(envelope, &pool::Check { invitecode: invitecode.parse().expect("an invite code") })
            }
            Self::GetCode { code } => {
                let unknown = || "NOSUCHCODE22".parse().expect("a code");
                encoded(envelope, &code::Get { code: code.as_ref().map_or_else(unknown, |(_, code)| code.clone()) })
            }
            Self::ApproveWrongly { name } => {
                let approvecode = Some("NOSUCHCODE".parse().expect("an approve code"));
                encoded(envelope, &enrollment::Approve { approvecode, ..enrollment::Approve::new(named(*name)) })
            }
        }
    }

    pub(super) fn read(&self, bytes: &[u8]) -> Result<Reply, String> {
        match self {
            Self::CheckPool { .. } => decode::<pool::Check>(bytes).map(Reply::Changed),
            Self::GetCode { .. } => {
                let found = decode::<code::Get>(bytes)?;
                Ok(Reply::Changed(found.used_on.is_some()))
            }
            Self::ApproveWrongly { .. } => answers::of_person(&decode::<enrollment::Approve>(bytes)?),
        }
    }
}

impl Op {
    /// True for one that is refused past the limit of wrong codes.
    pub(super) fn takes_code(&self) -> bool {
        match self {
            Self::UseCode { .. } | Self::Enroll { pool: Some(_), .. } | Self::Guess(_) => true,
            Self::Transact(units) => units.iter().any(Self::takes_code),
            _ => false,
        }
    }

    /// True for a write that may be done with its code.
    pub(super) fn may_spend(&self) -> bool {
        matches!(self, Self::UseCode { code: Some(_) } | Self::Enroll { pool: Some(_), .. })
    }

    /// True for an answer that says that there is no such code.
    pub(super) fn is_guess(&self, answer: &super::judge::Answer) -> bool {
        match (self, answer) {
            (Self::Guess(Ask::CheckPool { code: None }), Ok(_)) => true,
            (Self::Guess(Ask::ApproveWrongly { .. }), Err(refusal)) => refusal.code == Code::CODE_MISMATCH,
            (Self::UseCode { .. } | Self::Enroll { pool: Some(_), .. } | Self::Guess(_), Err(refusal)) => {
                refusal.code == Code::NOT_FOUND
            }
            _ => false,
        }
    }
}

impl Model {
    pub(super) fn guess(&mut self, ask: &Ask) -> Result<Done, Code> {
        match ask {
            Ask::CheckPool { code } => {
                let found = code.as_ref().and_then(|(drawn, _)| self.pool_of_code(*drawn));
                let is_usable = found.is_some_and(|number| self.usable(number).is_ok());
                Ok((Reply::Changed(is_usable), None))
            }
            Ask::GetCode { code } => {
                let is_used = code.as_ref().and_then(|(number, _)| self.is_used(*number)).ok_or(Code::NOT_FOUND)?;
                Ok((Reply::Changed(is_used), None))
            }
            Ask::ApproveWrongly { name } => {
                self.pending(*name)?;
                Err(Code::CODE_MISMATCH)
            }
        }
    }

    /// True if the attempt on a code was refused so. A check of a pool answers no where it finds none.
    pub(super) fn refuses(&self, number: usize, op: &Op, at: Time, code: Code) -> bool {
        match op {
            Op::Guess(Ask::CheckPool { code: drawn }) => {
                let found = drawn.as_ref().and_then(|(drawn, _)| self.pool_of_code(*drawn));
                code == Code::NOT_FOUND && found.is_none()
            }
            _ => self.clone().apply(number, op, at, &[]) == Err(code),
        }
    }
}
