//! The kinds of records that an import takes, and the fields of each.

use clap::ValueEnum;

/// The kind of the rows of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// People, deleted ones too: callsign, roles, deleted, extra
    People,
    /// Roles of people: person, role
    Roles,
    /// Invite pools with their codes: owner, invitecode, max_uses, expires, active, deleted, extra
    Pools,
    /// Enrollments: callsign, pool (an invite code), state, reason, csr, extra
    Enrollments,
    /// One-time tokens that were used: token, expires, audit
    Tokens,
    /// Login codes that were not used: code, claims, expires, used_on, audit. Each gets a new code, in the result file
    Codes,
}

/// The fields of a kind.
pub(super) struct Shape {
    /// Fields that a row must have.
    pub(super) required: &'static [&'static str],
    pub(super) optional: &'static [&'static str],
    /// Fields that are JSON objects. `OBJECT.NAME` is a member of one; the first takes what is kept.
    pub(super) objects: &'static [&'static str],
    /// Fields that no operation can set; they are kept in the first object, under `imported`.
    pub(super) kept: &'static [&'static str],
}

impl Kind {
    pub(super) fn shape(self) -> &'static Shape {
        match self {
            Self::People => &Shape {
                required: &["callsign"],
                optional: &["roles", "deleted"],
                objects: &["extra"],
                kept: &["pk", "created", "updated", "deleted"],
            },
            Self::Roles => &Shape { required: &["person", "role"], optional: &[], objects: &[], kept: &[] },
            Self::Pools => &Shape {
                required: &["owner", "invitecode"],
                optional: &["max_uses", "expires", "active", "deleted"],
                objects: &["extra"],
                kept: &["pk", "created", "updated", "uses"],
            },
            Self::Enrollments => &Shape {
                required: &["callsign"],
                optional: &["pool", "state", "reason", "csr"],
                objects: &["extra"],
                kept: &["pk", "created", "updated", "decided_by", "decided_on"],
            },
            Self::Tokens => &Shape {
                required: &["token"],
                optional: &["expires"],
                objects: &["audit"],
                kept: &["pk", "created", "updated"],
            },
            Self::Codes => &Shape {
                required: &["code"],
                optional: &["expires", "used_on"],
                objects: &["audit", "claims"],
                kept: &["pk", "created", "updated"],
            },
        }
    }
}

impl Shape {
    /// All fields.
    pub(super) fn fields(&self) -> Vec<&'static str> {
        let mut fields = [self.required, self.optional, self.objects].concat();
        // A deletion both takes effect and is kept.
        fields.extend(self.kept.iter().filter(|field| !self.optional.contains(field)));
        fields
    }

    /// True for a field, and for a member of an object.
    pub(super) fn has(&self, field: &str) -> bool {
        let is_member = |object: &&str| {
            let path = field.strip_prefix(*object).and_then(|rest| rest.strip_prefix('.'));
            path.is_some_and(|path| path.split('.').all(|name| !name.is_empty()))
        };
        self.fields().contains(&field) || self.objects.iter().any(is_member)
    }
}
