//! Events with limited places. What people hold places in are an event's pools.

mod pool;

use serde::{Deserialize, Serialize};

pub use self::pool::{AddPool, EventPool, NewPool, RemovePool, UpdatePool};
use crate::limits::{EVENT_FIELDS, EVENT_POOLS_MAX};
use crate::value::{Cursor, EventKind, Json, PageLimit, Pk, Reference, Time, Title, at_most, or_default, words};

/// An event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Primary key.
    pub pk: Pk,
    /// What it is called.
    pub title: Title,
    /// What kind of event it is.
    pub kind: EventKind,
    /// Whose it is.
    pub owner: Pk,
    /// When it begins.
    pub start: Time,
    /// How long it lasts.
    pub duration_minutes: u32,
    /// How many may take part, whatever the pools hold.
    pub max_participants: Option<u32>,
    /// Whether everybody may come, without registering.
    pub leisure: bool,
    /// Whether people may register.
    pub published: bool,
    /// Whether it was called off.
    pub canceled: bool,
    /// Whether somebody must approve of a registration.
    pub approval: Approval,
    /// Whether people may wait for a place.
    pub waiting_list: bool,
    /// From when on the places of all pools are one.
    pub merge_time: Option<Time>,
    /// Until when people may register; without one, until it begins.
    pub registration_closes: Option<Time>,
    /// Until when people may cancel; without one, until it begins.
    pub unregistration_closes: Option<Time>,
    /// Whatever the caller attached.
    pub extra: Json,
    /// Where it lies in time.
    pub time_state: TimeState,
    /// What it has come to.
    pub update_state: UpdateState,
    /// What may be done with it.
    pub actions: Vec<Action>,
    /// How many hold a place.
    pub places_taken: u32,
    /// How many wait for one.
    pub waiting_count: u32,
    /// Its pools, oldest first; without any, everybody may join.
    pub pools: Vec<EventPool>,
    /// When the record was made.
    pub created: Time,
    /// When it was last changed.
    pub updated: Time,
    /// Always none: an event is canceled, not deleted.
    pub deleted: Option<Time>,
}

/// Who approves of registrations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// Nobody needs to.
    #[default]
    None,
    /// The supervisor of whoever registers.
    Supervisor,
}

/// Where an event lies in time.
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

/// What an event has come to; it decides what may be done with it.
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

/// What may be done with an event.
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
/// Its owner is the person named, or the one on whose behalf it is asked for. It is a draft until it is published. A
/// pool is a JSON object: {"name":"members","capacity":40,"roles":["member"],"opens":"2027-03-01T12:00:00Z"}; 0 places
/// are any number. An event without pools is open to everybody.
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
    /// What it is called
    pub title: Title,
    /// What kind of event it is
    #[cfg_attr(feature = "cli", arg(long))]
    pub kind: EventKind,
    /// Whose it is: callsign or pk; by default the person of --as
    #[cfg_attr(feature = "cli", arg(long, value_name = "PERSON"))]
    pub owner: Option<Reference>,
    /// When it begins (RFC 3339)
    #[cfg_attr(feature = "cli", arg(long, value_name = "TIME"))]
    pub start: Time,
    /// How long it lasts, in minutes
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub duration_minutes: u32,
    /// How many may take part, whatever the pools hold
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub max_participants: Option<u32>,
    /// Everybody may come, without registering
    #[cfg_attr(feature = "cli", arg(long, value_name = "BOOL"))]
    pub leisure: Option<bool>,
    /// People may register
    #[cfg_attr(feature = "cli", arg(long, value_name = "BOOL"))]
    pub published: Option<bool>,
    /// Who approves of registrations: none or supervisor
    #[cfg_attr(feature = "cli", arg(long))]
    pub approval: Option<Approval>,
    /// People may wait for a place (true unless said otherwise)
    #[cfg_attr(feature = "cli", arg(long, value_name = "BOOL"))]
    pub waiting_list: Option<bool>,
    /// From when on the places of all pools are one (RFC 3339)
    #[cfg_attr(feature = "cli", arg(long, value_name = "TIME"))]
    pub merge_time: Option<Time>,
    /// Until when people may register (RFC 3339); by default until it begins
    #[cfg_attr(feature = "cli", arg(long, value_name = "TIME"))]
    pub registration_closes: Option<Time>,
    /// Until when people may cancel (RFC 3339); by default until it begins
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

/// List events by their start
///
/// On behalf of a person, drafts of others are left out unless that person may edit them. An event whose start is changed
/// while somebody pages may come twice or not at all; follow the changes to keep a copy.
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
    /// The `next` of the page before
    #[cfg_attr(feature = "cli", arg(long, value_name = "CURSOR"))]
    pub after: Option<Cursor>,
    /// How many at most
    #[cfg_attr(feature = "cli", arg(long, default_value_t))]
    #[serde(default, deserialize_with = "or_default")]
    pub limit: PageLimit,
}

/// Change an event
///
/// What is not named stays. A field that is cleared goes back to none. People who wait are seated where the change makes
/// room.
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
    /// What it is called
    #[cfg_attr(feature = "cli", arg(long))]
    pub title: Option<Title>,
    /// What kind of event it is
    #[cfg_attr(feature = "cli", arg(long))]
    pub kind: Option<EventKind>,
    /// Whose it is: callsign or pk
    #[cfg_attr(feature = "cli", arg(long, value_name = "PERSON"))]
    pub owner: Option<Reference>,
    /// When it begins (RFC 3339)
    #[cfg_attr(feature = "cli", arg(long, value_name = "TIME"))]
    pub start: Option<Time>,
    /// How long it lasts, in minutes
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub duration_minutes: Option<u32>,
    /// How many may take part, whatever the pools hold
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub max_participants: Option<u32>,
    /// Everybody may come, without registering
    #[cfg_attr(feature = "cli", arg(long, value_name = "BOOL"))]
    pub leisure: Option<bool>,
    /// People may register
    #[cfg_attr(feature = "cli", arg(long, value_name = "BOOL"))]
    pub published: Option<bool>,
    /// Who approves of registrations: none or supervisor
    #[cfg_attr(feature = "cli", arg(long))]
    pub approval: Option<Approval>,
    /// People may wait for a place
    #[cfg_attr(feature = "cli", arg(long, value_name = "BOOL"))]
    pub waiting_list: Option<bool>,
    /// From when on the places of all pools are one (RFC 3339)
    #[cfg_attr(feature = "cli", arg(long, value_name = "TIME"))]
    pub merge_time: Option<Time>,
    /// Until when people may register (RFC 3339)
    #[cfg_attr(feature = "cli", arg(long, value_name = "TIME"))]
    pub registration_closes: Option<Time>,
    /// Until when people may cancel (RFC 3339)
    #[cfg_attr(feature = "cli", arg(long, value_name = "TIME"))]
    pub unregistration_closes: Option<Time>,
    /// A JSON object that takes the place of the one that was there
    #[cfg_attr(feature = "cli", arg(long, value_name = "JSON"))]
    pub extra: Option<Json>,
    /// A field to clear: max_participants, merge_time, registration_closes, unregistration_closes or extra; may be repeated
    #[cfg_attr(feature = "cli", arg(long, value_name = "FIELD"))]
    #[serde(default, deserialize_with = "at_most::<EVENT_FIELDS, _, _>")]
    pub clear: Vec<Field>,
}

impl Update {
    /// A change of nothing yet.
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
            clear: Vec::new(),
        }
    }
}

/// What of an event can be cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// As many as the pools hold.
    MaxParticipants,
    /// The pools stay apart.
    MergeTime,
    /// Until it begins.
    RegistrationCloses,
    /// Until it begins.
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
    /// Not while somebody holds a place or waits for one (`event_has_registrations`).
    Unpublish "unpublish"
    /// Call an event off, for good
    ///
    /// Only one that is published and that somebody has registered for (`invalid_transition`).
    Cancel "cancel"
}
