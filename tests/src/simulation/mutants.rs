//! Mutants: the product with one line made wrong, which the simulation must find. They are made in a copy of the sources,
//! by `cargo run -p enroll-tests --bin mutants`; a test holds that each line is still there.

/// A line of the product and what is made of it.
#[derive(Debug, Clone, Copy)]
pub struct Mutant {
    /// Its name.
    pub name: &'static str,
    /// The file, from the root of the sources.
    pub file: &'static str,
    /// The text, which is there once.
    pub from: &'static str,
    /// What stands in its place.
    pub to: &'static str,
    /// Must find it.
    pub finder: Finder,
}

/// The finder of a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finder {
    /// A seed of the simulation.
    Simulation,
    /// A test whose name contains this.
    Test(&'static str),
}

const fn mutant(name: &'static str, file: &'static str, from: &'static str, to: &'static str) -> Mutant {
    Mutant { name, file, from, to, finder: Finder::Simulation }
}

/// All of them.
pub const MUTANTS: &[Mutant] = &[
    mutant(
        "acknowledge-after-a-failed-commit",
        "daemon/src/writer/mod.rs",
        "        if let Err(err) = done {\n",
        "        if let Err(err) = done.or(Ok::<(), StoreError>(())) {\n",
    ),
    mutant(
        "acknowledge-before-the-sync",
        "daemon/src/storage/journal/segments.rs",
        "        self.slot.disk.sync().map_err(io_error(WRITE))?;\n        self.at",
        "        self.at",
    ),
    mutant(
        "spend-without-a-look",
        "daemon/core/src/rules/token.rs",
        "    if let Some(first) = record::get::<token::Token>(txn.as_read(), &key::token(&hash))? {\n",
        "    if let Some(first) = record::get::<token::Token>(txn.as_read(), &key::token(&hash))?.filter(|_| false) {\n",
    ),
    mutant(
        "exchange-twice",
        "daemon/core/src/rules/code.rs",
        "        if let Some(used_on) = code.used_on {\n",
        "        if let Some(used_on) = code.used_on.filter(|_| false) {\n",
    ),
    mutant(
        "index-skipped",
        "daemon/core/src/rules/role.rs",
        "    record::put(txn, key::role_member(role, person), &RoleMember);\n",
        "",
    ),
    mutant(
        "approve-twice",
        "daemon/core/src/rules/enrollment.rs",
        "        call.permit(txn.as_read(), false)?;\n        expect_pending(&enrollment)?;\n        if let Some(typed)",
        "        call.permit(txn.as_read(), false)?;\n        if let Some(typed)",
    ),
    mutant(
        "bound-off-by-one",
        "daemon/core/src/rules/pool.rs",
        "pool.max_uses.is_some_and(|most| pool.uses >= most)",
        "pool.max_uses.is_some_and(|most| pool.uses > most)",
    ),
    mutant(
        "restore-without-a-new-life",
        "daemon/core/src/rules/person.rs",
        "            person.life = person.life.wrapping_add(1);\n",
        "",
    ),
    mutant(
        "deleted-people-keep-their-places",
        "daemon/core/src/rules/person.rs",
        "    registration::leave_all(txn, call, pk)?;\n",
        "",
    ),
    mutant(
        "freed-place-stays-free",
        "daemon/core/src/rules/registration/mod.rs",
        "        seats.head.left.fill = true;\n        finish(seats, person)\n    }\n}\n\nimpl ReadOp for Get",
        "        finish(seats, person)\n    }\n}\n\nimpl ReadOp for Get",
    ),
    mutant(
        "reads-overtake-writes",
        "daemon/src/net/session.rs",
        "                match self.open_writes {\n                    0 => self.run_read(read),\n",
        "                match 0 * self.open_writes {\n                    0 => self.run_read(read),\n",
    ),
    mutant(
        "answers-forgotten-early",
        "daemon/src/writer/idempotency.rs",
        ".plus_seconds(ctx.settings.keep_answers_seconds) <= ctx.now",
        ".plus_seconds(0) <= ctx.now",
    ),
    mutant(
        "answers-not-kept",
        "daemon/src/writer/mod.rs",
        "            let keep = kept.map(|keeping|",
        "            let keep = kept.filter(|_| false).map(|keeping|",
    ),
    mutant(
        "flushed-and-freed-too-much",
        "daemon/src/storage/journal/log.rs",
        "            log.free_before(mark.generation);\n",
        "            log.free_before(mark.generation + 1);\n",
    ),
    mutant(
        "mark-ahead-of-the-tree",
        "daemon/src/storage/journal/flush.rs",
        "            done = self.tree.take_over(mark, &mut writes);\n",
        "            done = self.tree.take_over(&Mark { number: mark.number + 1, ..*mark }, &mut writes);\n",
    ),
    mutant(
        "view-without-the-frozen",
        "daemon/src/storage/journal/flush.rs",
        "frozen: Some(Arc::clone(&frozen)), tree, filter };",
        "frozen: None, tree, filter };",
    ),
    mutant(
        "sweep-a-day-early",
        "daemon/core/src/rules/expiry.rs",
        "const KEPT_AFTER_EXPIRY_SECONDS: u64 = 24 * 60 * 60;",
        "const KEPT_AFTER_EXPIRY_SECONDS: u64 = 0;",
    ),
    mutant(
        "old-invite-code-goes-on",
        "daemon/core/src/rules/pool.rs",
        "            txn.delete(key::invite_code(&pool.invitecode));\n",
        "",
    ),
    mutant(
        "change-number-twice",
        "daemon/core/src/rules/changes.rs",
        "        head.seq += 1;\n        head.at",
        "        head.seq += if head.seq % 7 == 3 { 2 } else { 1 };\n        head.at",
    ),
];
