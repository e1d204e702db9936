//! Events with limited places, which people hold in the event's pools.

mod pool;

use serde::{Deserialize, Serialize};

pub use self::pool::{AddPool, EventPool, NewPool, RemovePool, UpdatePool};
use crate::limits::{EVENT_FIELDS, EVENT_POOLS_MAX};
use crate::value::{
    Cursor, EventKind, Json, PageLimit, Pk, PkPrefix, Reference, Time, Title, at_most, or_default, words,
};

/// An event that people register for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Primary key.
    pub pk: Pk,
    /// Title.
    pub title: Title,
    /// Kind, such as `social`; permissions name it.
    pub kind: EventKind,
    /// The owner.
    pub owner: Pk,
    /// Start.
    pub start: Time,
    /// Duration.
    pub duration_minutes: u32,
    /// The most people who may take part, whatever the pools hold.
    pub max_participants: Option<u32>,
    /// True if everybody may come without registering.
    pub leisure: bool,
    /// True if people may register.
    pub published: bool,
    /// True if it was called off.
    pub canceled: bool,
    /// The approver of registrations.
    pub approval: Approval,
    /// True if people may wait for a place.
    pub waiting_list: bool,
    /// Time of the merge: from then on the places of all pools are one.
    pub merge_time: Option<Time>,
    /// End of registering; its start if there is none.
    pub registration_closes: Option<Time>,
    /// End of canceling; its start if there is none.
    pub unregistration_closes: Option<Time>,
    /// The JSON object that the caller attached.
    pub extra: Json,
    /// Upcoming, current or past.
    pub time_state: TimeState,
    /// The state that decides which actions are possible.
    pub update_state: UpdateState,
    /// The actions that are possible.
    pub actions: Vec<Action>,
    /// People who hold a place.
    pub places_taken: u32,
    /// People who wait for one.
    pub waiting_count: u32,
    /// Its pools, oldest first; without any, everybody may join.
    pub pools: Vec<EventPool>,
    /// Creation time.
    pub created: Time,
    /// Time of the last change.
    pub updated: Time,
    /// Always none: an event is canceled, not deleted.
    pub deleted: Option<Time>,
}

/// The approver of registrations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// Nobody: registrations need no approval.
    #[default]
    None,
    /// The supervisor of the person who registers.
    Supervisor,
}

/// An event before its start, between start and end, or after its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeState {
    /// It has not begun.
    Upcoming,
    /// It goes on.
    Current,
    /// It is over.
    Past,
}

/// The state of an event; it decides which actions are possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateState {
    /// Not published yet.
    Draft,
    /// Published, and nobody has registered.
    Published,
    /// Published, and somebody holds a place or waits for one.
    Registrations,
    /// Called off.
    Canceled,
}

/// An action on an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Change its fields.
    Save,
    /// Let people register.
    Publish,
    /// Take it back.
    Unpublish,
    /// Call it off.
    Cancel,
}

words! {
    Approval: None "none" Supervisor "supervisor";
    TimeState: Upcoming "upcoming" Current "current" Past "past";
    Field: MaxParticipants "max_participants" MergeTime "merge_time" RegistrationCloses "registration_closes"
        UnregistrationCloses "unregistration_closes" Extra "extra";
}

/// Make an event
///
/// The owner is the person given, or the one on whose behalf the call is made. An event is a draft until it is
/// published. A pool is a JSON object:
/// {"name":"members","capacity":40,"roles":["member"],"opens":"2027-03-01T12:00:00Z"}; 0 places are any number. An
/// event without pools is open to everybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(
        after_help = "Example:\n  enrollctl --as BOSS event create 'Summer camp' --kind camp --start 2027-07-01T10:00:00Z \
                      --duration-minutes 120 --published true --pool '{\"name\":\"members\",\"capacity\":40,\"roles\":[\"member\"]}'"
    )
)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// Title
    pub title: Title,
    /// Kind, such as social; permissions name it
    #[cfg_attr(feature = "cli", arg(long))]
    pub kind: EventKind,
    /// Owner: callsign or pk; the person of --as by default
    #[cfg_attr(feature = "cli", arg(long, value_name = "PERSON"))]
    pub owner: Option<Reference>,
    /// Start (RFC 3339)
    #[cfg_attr(feature = "cli", arg(long, value_name = "TIME"))]
    pub start: Time,
    /// Duration in minutes
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub duration_minutes: u32,
    /// The most people who may take part, whatever the pools hold
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub max_participants: Option<u32>,
    /// Everybody may come, without registering
    #[cfg_attr(feature = "cli", arg(long, value_name = "BOOL"))]
    pub leisure: Option<bool>,
    /// People may register
    #[cfg_attr(feature = "cli", arg(long, value_name = "BOOL"))]
    pub published: Option<bool>,
    /// Approver of registrations: none or supervisor
    #[cfg_attr(feature = "cli", arg(long))]
    pub approval: Option<Approval>,
    /// People may wait for a place (true unless said otherwise)
    #[cfg_attr(feature = "cli", arg(long, value_name = "BOOL"))]
    pub waiting_list: Option<bool>,
    /// Merge the places of all pools at this time (RFC 3339)
    #[cfg_attr(feature = "cli", arg(long, value_name = "TIME"))]
    pub merge_time: Option<Time>,
    /// End of registering (RFC 3339); the start by default
    #[cfg_attr(feature = "cli", arg(long, value_name = "TIME"))]
    pub registration_closes: Option<Time>,
    /// End of canceling (RFC 3339); the start by default
    #[cfg_attr(feature = "cli", arg(long, value_name = "TIME"))]
    pub unregistration_closes: Option<Time>,
    /// A pool, as JSON; may be repeated
    #[cfg_attr(feature = "cli", arg(long = "pool", value_name = "JSON"))]
    #[serde(default, deserialize_with = "at_most::<EVENT_POOLS_MAX, _, _>")]
    pub pools: Vec<NewPool>,
    /// A JSON object to keep with it
    #[cfg_attr(feature = "cli", arg(long, value_name = "JSON", default_value = "{}", hide_default_value = true))]
    #[serde(default, deserialize_with = "or_default")]
    pub extra: Json,
}

impl Create {
    /// A draft without pools, of this kind and length.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::event;
    ///
    /// let start = "2027-07-01T10:00:00Z".parse()?;
    /// let camp = event::Create::new("Summer camp".parse()?, "camp".parse()?, start, 120);
    /// let for_forty = event::Create { max_participants: Some(40), ..camp };
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(title: Title, kind: EventKind, start: Time, duration_minutes: u32) -> Self {
        Self {
            title,
            kind,
            owner: None,
            start,
            duration_minutes,
            max_participants: None,
            leisure: None,
            published: None,
            approval: None,
            waiting_list: None,
            merge_time: None,
            registration_closes: None,
            unregistration_closes: None,
            pools: Vec::new(),
            extra: Json::default(),
        }
    }
}

/// Show an event with its pools
///
/// On behalf of a person, a draft is `not_found` unless it is their own or they may edit it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl event get 01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b")
)]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// The event's pk
    pub event: Reference,
}

/// List events by their start, or with a prefix by pk
///
/// On behalf of a person, drafts of others are left out unless that person may edit them. An event whose start is
/// changed while somebody pages may come twice or not at all; follow the changes to keep a copy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl event list --kind camp --time-state upcoming")
)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Only events of this kind
    #[cfg_attr(feature = "cli", arg(long))]
    pub kind: Option<EventKind>,
    /// Only events of this person: callsign or pk
    #[cfg_attr(feature = "cli", arg(long, value_name = "PERSON"))]
    pub owner: Option<Reference>,
    /// Only those that are upcoming, current or past
    #[cfg_attr(feature = "cli", arg(long, value_name = "STATE"))]
    pub time_state: Option<TimeState>,
    /// Only pks that begin so; then ordered by pk
    #[cfg_attr(feature = "cli", arg(long))]
    pub prefix: Option<PkPrefix>,
    /// The `next` of the page before
    #[cfg_attr(feature = "cli", arg(long, value_name = "CURSOR"))]
    pub after: Option<Cursor>,
    /// Items per page, at most 1000
    #[cfg_attr(feature = "cli", arg(long, default_value_t))]
    #[serde(default, deserialize_with = "or_default")]
    pub limit: PageLimit,
}

/// Change an event
///
/// A field that is not given stays. A field that is cleared goes back to none. People who wait are seated where the
/// change makes room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl --as BOSS event update 01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b \
                      --max-participants 60 --clear merge_time")
)]
#[serde(deny_unknown_fields)]
pub struct Update {
    /// The event's pk
    pub event: Reference,
    /// Title
    #[cfg_attr(feature = "cli", arg(long))]
    pub title: Option<Title>,
    /// Kind, such as social; permissions name it
    #[cfg_attr(feature = "cli", arg(long))]
    pub kind: Option<EventKind>,
    /// Owner: callsign or pk
    #[cfg_attr(feature = "cli", arg(long, value_name = "PERSON"))]
    pub owner: Option<Reference>,
    /// Start (RFC 3339)
    #[cfg_attr(feature = "cli", arg(long, value_name = "TIME"))]
    pub start: Option<Time>,
    /// Duration in minutes
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub duration_minutes: Option<u32>,
    /// The most people who may take part, whatever the pools hold
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub max_participants: Option<u32>,
    /// Everybody may come, without registering
    #[cfg_attr(feature = "cli", arg(long, value_name = "BOOL"))]
    pub leisure: Option<bool>,
    /// People may register
    #[cfg_attr(feature = "cli", arg(long, value_name = "BOOL"))]
    pub published: Option<bool>,
    /// Approver of registrations: none or supervisor
    #[cfg_attr(feature = "cli", arg(long))]
    pub approval: Option<Approval>,
    /// People may wait for a place
    #[cfg_attr(feature = "cli", arg(long, value_name = "BOOL"))]
    pub waiting_list: Option<bool>,
    /// Merge the places of all pools at this time (RFC 3339)
    #[cfg_attr(feature = "cli", arg(long, value_name = "TIME"))]
    pub merge_time: Option<Time>,
    /// End of registering (RFC 3339)
    #[cfg_attr(feature = "cli", arg(long, value_name = "TIME"))]
    pub registration_closes: Option<Time>,
    /// End of canceling (RFC 3339)
    #[cfg_attr(feature = "cli", arg(long, value_name = "TIME"))]
    pub unregistration_closes: Option<Time>,
    /// A JSON object that replaces the one before
    #[cfg_attr(feature = "cli", arg(long, value_name = "JSON"))]
    pub extra: Option<Json>,
    /// A merge patch (RFC 7396) of the object before: null removes a member
    #[cfg_attr(feature = "cli", arg(long, value_name = "JSON"))]
    pub patch: Option<Json>,
    /// A field to clear: max_participants, merge_time, registration_closes, unregistration_closes or extra; may be
    /// repeated
    #[cfg_attr(feature = "cli", arg(long, value_name = "FIELD"))]
    #[serde(default, deserialize_with = "at_most::<EVENT_FIELDS, _, _>")]
    pub clear: Vec<Field>,
}

impl Update {
    /// An update that changes nothing yet.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::event;
    ///
    /// let update = event::Update::new("01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b".parse()?);
    /// let longer = event::Update { duration_minutes: Some(180), ..update };
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(event: Reference) -> Self {
        Self {
            event,
            title: None,
            kind: None,
            owner: None,
            start: None,
            duration_minutes: None,
            max_participants: None,
            leisure: None,
            published: None,
            approval: None,
            waiting_list: None,
            merge_time: None,
            registration_closes: None,
            unregistration_closes: None,
            extra: None,
            patch: None,
            clear: Vec::new(),
        }
    }
}

/// The fields of an event that can be cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// No limit but the pools'.
    MaxParticipants,
    /// No merge.
    MergeTime,
    /// Registering ends at the start.
    RegistrationCloses,
    /// Canceling ends at the start.
    UnregistrationCloses,
    /// Back to an empty object.
    Extra,
}

macro_rules! of_an_event {
    ($($(#[doc = $text:literal])* $name:ident $verb:literal)*) => {
        $(
            $(#[doc = $text])*
            #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
            #[cfg_attr(
                feature = "cli",
                derive(clap::Args),
                command(after_help = concat!(
                    "Example:\n  enrollctl --as BOSS event ", $verb, " 01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b"
                ))
            )]
            #[serde(deny_unknown_fields)]
            pub struct $name {
                /// The event's pk
                pub event: Reference,
            }
        )*
    };
}

of_an_event! {
    /// Publish an event: people may register
    Publish "publish"
    /// Take a published event back
    ///
    /// Refused while somebody holds a place or waits for one (`event_has_registrations`).
    Unpublish "unpublish"
    /// Call an event off, for good
    ///
    /// The event must be published and have registrations (`invalid_transition` otherwise).
    Cancel "cancel"
}
