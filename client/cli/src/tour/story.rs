//! The script of the tour, as a table of steps.
//!
//! Names and addresses are constants; the codes are drawn by the daemon.

/// A step of the tour.
pub(super) enum Step {
    /// A sentence between commands.
    Say(&'static str),
    /// A command that succeeds.
    Run(Typed<'static>),
    /// A command that is refused.
    Refused(Typed<'static>),
    /// A line of bash, skipped if its program is not installed.
    Shell(&'static str),
    /// A command whose answer is assigned to a shell variable.
    Keep { name: &'static str, args: &'static [&'static str] },
}

/// A command as one would type it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Typed<'a> {
    /// The arguments of `enrollctl`; `$NAME` is a variable.
    pub(super) args: &'a [&'a str],
    /// Its standard input.
    pub(super) input: Option<Input<'a>>,
}

/// The source of standard input.
#[derive(Debug, Clone, Copy)]
pub(super) enum Input<'a> {
    /// A text.
    Text(&'a str),
    /// The value of a variable.
    Variable(&'a str),
}

/// The steps in their order.
pub(super) const STORY: &[Step] = &[
    Step::Say("The first administrator. Root and the user who runs the daemon need nobody's leave for it."),
    run(&["person", "create", "BOSS", "--role", "superuser"]),
    Step::Say("BOSS invites: whoever has the code of this pool may enroll, ten people at most."),
    run(&["--as", "BOSS", "pool", "create", "--max-uses", "10", "--extra", r#"{"team":"red"}"#]),
    Step::Keep { name: "POOL", args: &["pool", "list", "--field", "invitecode"] },
    Step::Say("Two people enroll by the code. What the pool brings becomes theirs."),
    run(&["enrollment", "create", "DOGGO01a", "--pool", "$POOL", "--origin", "203.0.113.9"]),
    run(&["enrollment", "create", "PORA22b", "--pool", "$POOL", "--origin", "203.0.113.22"]),
    Step::Say("Somebody guesses a code. A few wrong ones, and this address has to wait."),
    refused(&["enrollment", "create", "MALLORY", "--pool", "AAAAAAAA", "--origin", "203.0.113.66"], None),
    Step::Say("A callsign belongs to one person, however it is written."),
    refused(&["enrollment", "create", "doggo01A", "--pool", "$POOL"], None),
    Step::Say("Who is waiting?"),
    run(&["enrollment", "list", "--state", "pending"]),
    Step::Say("BOSS decides. An approved enrollment becomes a person."),
    run(&["--as", "BOSS", "enrollment", "approve", "DOGGO01a"]),
    run(&["--as", "BOSS", "enrollment", "reject", "PORA22b", "--reason", "not one of us"]),
    Step::Say("It was decided, and stays so."),
    refused(&["--as", "BOSS", "enrollment", "approve", "PORA22b"], None),
    Step::Say("What came of the invitation."),
    run(&["pool", "show", "$POOL"]),
    Step::Say("A login code is exchanged once for a signed JWT. Secrets come from standard input, not from arguments."),
    Step::Keep { name: "CODE", args: &["code", "create", r#"{"sub":"DOGGO01a"}"#, "--field", "code"] },
    Step::Run(Typed { args: &["code", "use"], input: Some(Input::Variable("CODE")) }),
    refused(&["code", "use"], Some(Input::Variable("CODE"))),
    Step::Say("A token that somebody else issued is spent once, and a replay is told when that was."),
    Step::Run(Typed { args: &["token", "use", "--origin", "203.0.113.9"], input: Some(Input::Text("nonce-4711")) }),
    refused(&["token", "use", "--origin", "203.0.113.66"], Some(Input::Text("nonce-4711"))),
    Step::Say("An event with a single place, for people with the role member. Who comes later may wait."),
    run(&["--as", "BOSS", "role", "assign", "DOGGO01a", "member"]),
    run(&["person", "create", "CAT03c", "--role", "member"]),
    Step::Keep { name: "EVENT", args: HIKE },
    run(&["--as", "BOSS", "event", "add_pool", "$EVENT", "members", "--capacity", "1", "--role", "member"]),
    run(&["--as", "BOSS", "event", "publish", "$EVENT"]),
    run(&["--as", "DOGGO01a", "registration", "create", "$EVENT", "DOGGO01a"]),
    Step::Say("The place is taken. What would come of registering, and why?"),
    run(&["--as", "CAT03c", "registration", "explain", "$EVENT", "CAT03c"]),
    run(&["--as", "CAT03c", "registration", "create", "$EVENT", "CAT03c"]),
    run(&["event", "show", "$EVENT"]),
    Step::Say("Who has the place gives it back, and the first who waits has it in the same instant."),
    run(&["--as", "DOGGO01a", "registration", "cancel", "$EVENT", "DOGGO01a"]),
    run(&["registration", "list", "--event", "$EVENT"]),
    Step::Say(
        "A certificate for a machine, signed by an authority of the daemon's own, with a key that the daemon makes.",
    ),
    run(&["person", "create", "RIG04d", "--certificate", "generate"]),
    run(&["certificate", "show", "RIG04d"]),
    Step::Keep { name: "CERTIFICATE", args: &["certificate", "get", "RIG04d"] },
    Step::Keep { name: "CA", args: &["certificate", "ca"] },
    Step::Say("Its key leaked. The list of revoked certificates has another number in the same instant."),
    run(&["--as", "BOSS", "person", "revoke", "RIG04d", "key_compromise"]),
    run(&["certificate", "show", "RIG04d"]),
    Step::Keep { name: "CRL", args: &["certificate", "crl"] },
    Step::Shell(VERIFY),
    Step::Say(
        "Everything that happened, in order and without a gap: the refused attempts on codes and tokens, and who was \
         seated, with the change that was its cause.",
    ),
    run(&["changes", "list"]),
    Step::Say("Every rule is checked across all records. No news is good news."),
    run(&["server", "check"]),
];

/// Verifies the revoked certificate with OpenSSL, which refuses it. Process substitution needs bash.
const VERIFY: &str = "openssl verify -crl_check -CAfile <(echo \"$CA\") -CRLfile <(echo \"$CRL\") \\
    <(echo \"$CERTIFICATE\")";

/// The command that creates an event.
const HIKE: &[&str] = &[
    "--as",
    "BOSS",
    "event",
    "create",
    "Night hike",
    "--kind",
    "hike",
    "--start",
    "2999-07-01T20:00:00Z",
    "--duration-minutes",
    "180",
    "--field",
    "pk",
];

const fn run(args: &'static [&'static str]) -> Step {
    Step::Run(Typed { args, input: None })
}

const fn refused(args: &'static [&'static str], input: Option<Input<'static>>) -> Step {
    Step::Refused(Typed { args, input })
}
