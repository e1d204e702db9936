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

/// Those that are found.
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
    mutant(
        "compare-before-the-transaction",
        "daemon/core/src/state/overlay.rs",
        "        match self.writes.get(key) {\n",
        "        match self.writes.get(key).filter(|_| key.first() != Some(&(crate::model::key::Family::Tokens as u8))) {\n",
    ),
    mutant(
        "answer-kept-in-a-second-commit",
        "daemon/src/writer/mod.rs",
        "        self.store.commit(&writes)?;\n",
        concat!(
            "        let (from, to) = key::Family::Kept.bounds();\n",
            "        let kept: Writes = writes.range(from..to).map(|(key, value)| (key.clone(), value.clone())).collect();\n",
            "        writes.retain(|key, _| !kept.contains_key(key));\n",
            "        self.store.commit(&writes)?;\n",
            "        if !kept.is_empty() {\n",
            "            self.store.commit(&kept)?;\n",
            "        }\n"
        ),
    ),
    mutant(
        "waiting-list-by-clock",
        "daemon/core/src/rules/seating/order.rs",
        "        self.head.next_order += GAP;\n        order\n",
        concat!(
            "        self.head.next_order = order.max(self.now().micros().unsigned_abs()) + GAP;\n",
            "        self.now().micros().unsigned_abs()\n"
        ),
    ),
    mutant(
        "capacity-off-by-one",
        "daemon/core/src/rules/seating/choose.rs",
        "self.capacity.is_some_and(|capacity| self.count.taken >= capacity)",
        "self.capacity.is_some_and(|capacity| self.count.taken > capacity)",
    ),
    mutant(
        "maximum-off-by-one",
        "daemon/core/src/rules/seating/choose.rs",
        "event.max_participants.is_some_and(|max| taken >= u64::from(max))",
        "event.max_participants.is_some_and(|max| taken > u64::from(max))",
    ),
    mutant(
        "placed-by-hand-is-moved",
        "daemon/core/src/rules/seating/seats.rs",
        "        Stand::Seated(_) if of.is_fixed() => {}\n",
        "",
    ),
    mutant(
        "seats-people-at-what-is-over",
        "daemon/core/src/rules/seating/fill.rs",
        "        if self.head.left.fill && !is_over(&self.event, self.now()) {\n            //",
        "        if self.head.left.fill {\n            //",
    ),
    mutant(
        "clock-that-goes-back-resumes-nothing",
        "daemon/core/src/rules/seating/seats.rs",
        "is_over(&event, before) && !is_over(&event, now);",
        "is_over(&event, before) && false;",
    ),
    mutant(
        "deletion-changes-what-is-over",
        "daemon/core/src/rules/registration/role_change.rs",
        "if live.is_none() || is_over(&event, call.ctx.now) {",
        "if live.is_none() {",
    ),
    mutant(
        "rejection-keeps-the-place",
        "daemon/core/src/rules/registration/approval.rs",
        "stored::Registration { stand: Stand::Out, approval, placed: None, ..before.clone() }",
        "stored::Registration { approval, placed: None, ..before.clone() }",
    ),
    mutant("deleted-people-keep-their-roles", "daemon/core/src/rules/person.rs", "    role::take_all(txn, pk)?;\n", ""),
    mutant("members-not-counted", "daemon/core/src/rules/role.rs", "    head.members += 1;\n", ""),
    mutant("uses-not-counted", "daemon/core/src/rules/enrollment.rs", "            pool.uses += 1;\n", ""),
    mutant(
        "approved-is-reopened",
        "daemon/core/src/rules/enrollment.rs",
        concat!(
            "            State::Rejected => {}\n",
            "            State::Approved => return Err(already_decided(&enrollment).into()),\n"
        ),
        "            State::Rejected | State::Approved => {}\n",
    ),
    mutant(
        "code-never-expires",
        "daemon/core/src/rules/code.rs",
        "code.expires.filter(|expires| *expires <= call.ctx.now)",
        "code.expires.filter(|_| false)",
    ),
    mutant(
        "code-of-an-earlier-life",
        "daemon/core/src/rules/code.rs",
        "    if code.subject_life != person.life {\n",
        "    if code.subject_life > person.life {\n",
    ),
    mutant(
        "expired-token-is-spent",
        "daemon/core/src/rules/token.rs",
        "expires.filter(|expires| *expires <= call.ctx.now)",
        "expires.filter(|_| false)",
    ),
    mutant(
        "torn-record-counts",
        "daemon/src/storage/journal/record.rs",
        concat!(
            "        let is_whole = record.bad_chunks(segment, at, seed).next().is_none();\n",
            "        is_whole.then_some(record)\n"
        ),
        "        Some(record)\n",
    ),
    mutant(
        "header-without-a-sync",
        "daemon/src/storage/journal/segments.rs",
        "&header.encode()).map_err(io_error(WRITE))?;\n        slot.disk.sync().map_err(io_error(WRITE))?;\n",
        "&header.encode()).map_err(io_error(WRITE))?;\n",
    ),
    mutant(
        "deletions-not-recovered",
        "daemon/src/storage/journal/record.rs",
        "            writes.insert(key, value);\n",
        "            if value.is_some() {\n                writes.insert(key, value);\n            }\n",
    ),
    mutant(
        "view-of-the-tree-before",
        "daemon/src/storage/journal/flush.rs",
        "            state.current = Arc::new(Snapshot { active, frozen: None, tree, filter });\n",
        concat!(
            "            drop(tree);\n",
            "            state.current =\n",
            "                Arc::new(Snapshot { active, frozen: None, tree: Arc::clone(&state.current.tree), filter });\n"
        ),
    ),
    mutant("scan-is-overtaken", "daemon/src/net/session.rs", "            && !self.has_scan\n", ""),
    mutant(
        "answer-sent-twice",
        "daemon/src/net/session/writes.rs",
        "    if let Some(Ok(bytes)) = write(outbox.rest()) {\n        outbox.has_written(bytes);\n    }\n",
        "    let _ = write(outbox.rest());\n",
    ),
    mutant(
        "last-come-first-written",
        "daemon/src/fair_queue.rs",
        "        let item = queue.pop_front();\n",
        "        let item = queue.pop_back();\n",
    ),
    mutant(
        "guess-counted-after-the-answer",
        "daemon/core/src/rules/rate_limit.rs",
        "        if guess {\n            self.count(call, source, is_own);\n",
        concat!(
            "        static LATE: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);\n",
            "        if LATE.swap(guess, std::sync::atomic::Ordering::Relaxed) {\n",
            "            self.count(call, source, is_own);\n"
        ),
    ),
    mutant(
        "list-number-not-raised",
        "daemon/core/src/rules/authority.rs",
        "    let number = number_after(head.number, ctx.now);\n",
        "    let number = head.number;\n",
    ),
    mutant(
        "relink-without-unlink",
        "daemon/core/src/rules/program/link.rs",
        "        unlink(txn, call, program, enrollment, before)?;\n",
        "",
    ),
    Mutant {
        finder: Finder::Test("journal::damage::what_is_bad_or_missing"),
        ..mutant(
            "segment-without-a-seal",
            "daemon/src/storage/journal/segments.rs",
            "        self.current.write(&mut self.buffer, self.next, &Writes::new())?;\n",
            "",
        )
    },
    mutant(
        "rejected-registers-again",
        "daemon/core/src/rules/registration/eligibility.rs",
        "before.canceled_at.is_some() && before.approval == ApprovalState::Rejected => {",
        "before.canceled_at.is_some() && before.approval == ApprovalState::Rejected && before.placed.is_some() => {",
    ),
    mutant(
        "one-guess-too-many",
        "daemon/core/src/rules/rate_limit.rs",
        "    if window.count < per_minute {\n",
        "    if window.count <= per_minute {\n",
    ),
    mutant(
        "key-that-stands-twice-is-written",
        "daemon/core/src/rules/program/enroll.rs",
        "if unit.is_twice { DUPLICATED }",
        "if unit.is_twice && false { DUPLICATED }",
    ),
    mutant(
        "piece-of-an-import-twice",
        "daemon/core/src/rules/import.rs",
        "latest.is_some() && found.latest == latest",
        "latest.is_none() && found.latest == latest",
    ),
    Mutant {
        finder: Finder::Test("rules::events::openings"),
        ..mutant(
            "opening-seats-nobody",
            "daemon/core/src/rules/seating/fill.rs",
            "        self.head.at = moment.at;\n        self.head.left.fill = true;\n",
            "        self.head.at = moment.at;\n",
        )
    },
    Mutant {
        finder: Finder::Test("what_a_start_after_a_kill"),
        ..mutant("journal-goes-on-without-a-sync", "daemon/src/storage/journal/recovery.rs", "    found.sync()?;\n", "")
    },
];
