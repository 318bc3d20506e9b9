//! What each rule is for: without it, something goes wrong where nothing does with it.
//!
//! `S1` is a lost write, `S2` a stale or false answer, `S3` a copy from a node that lacks what it overwrites, `S4` a source although
//! one that comes before it is right, `S5` a key that nobody removed and that is taken away, `S6` two
//! decisions of which neither was built upon the other, `L` an end that is never reached, `R` an answer that is not given, `C` a conflict of acknowledged writes, `N` a conflict without a need, `F` a write
//! that is lost with a forgotten node while nobody is told.

use redisdb_replication::Rule;

use super::claims::breaks;

/// Bounds within which a rule is needed, and what goes wrong without it.
const NEEDED: [(Rule, &str, &str); 57] = [
    (Rule::Restarted, "--older 1", "S2"),
    (Rule::Emptied, "--flush 1", "S2"),
    (Rule::Held, "--cut 2 --relative --writers 1 --real-is-bad", "C"),
    (Rule::Deadline, "--pause 1 --cut 1 --writers 1", "S"),
    (Rule::DecidedInTime, "--decided --cut 1 --pause 1 --relative", "S2"),
    (Rule::DecidedAware, "--decided --cut 1", "S2"),
    (Rule::DecidedOnce, "--decided --flush 1 --no-returns", "S2"),
    (Rule::DecidedRightly, "--decided --cut 1 --relative", "S6"),
    (Rule::Block, "--older 1 --stop 1 --write 1", "S3"),
    (Rule::LateHint, "--cut 1", "S2"),
    (Rule::SameTaker, "--cut 1 --older 1 --write 1", "S3"),
    (Rule::Fence, "--cut 1", "S2"),
    (Rule::Gate, "--nodes 3 --cut 1 --stop 1 --write 1 --writers 1 --no-zombies", "S2"),
    (Rule::Push, "--flush 1", "S2"),
    (Rule::Memory, "--nodes 3 --cut 1 --flush 1 --write 1 --whole --no-zombies", "S2"),
    (Rule::Agreement, "--same 2 --write 1", "R"),
    (Rule::Agreed, "--same 2 --write 1 --relative", "R"),
    (Rule::Settled, "--same 2 --older 1 --write 1 --writers 1 --no-zombies --whole", "S2"),
    (Rule::AllInSight, "--nodes 3 --cut 1 --flush 1 --write 1 --whole --no-zombies", "S2"),
    (Rule::AllKeys, "--keys 2 --older 1 --write 1", "S2"),
    (Rule::NoOtherHint, "--keys 2 --same 1 --writers 1 --no-zombies", "S2"),
    (Rule::Claim, "--cut 1", "S2"),
    (Rule::Quiet, "--cut 1", "S"),
    (Rule::Still, "--cut 1", "S"),
    (Rule::LookedAt, "--held --cut 1 --no-zombies", "S2"),
    (Rule::SameSource, "--cut 1 --flush 1 --writers 1 --relative", "S2"),
    (Rule::CompareAndSet, "--cut 1", "S3"),
    (Rule::Watched, "--decided --flush 1", "S3"),
    (Rule::Mutual, "--cut 2 --relative --no-zombies", "S"),
    (Rule::Heir, "--cut 1 --same 1 --write 1 --needless-is-bad", "N"),
    (Rule::Doubt, "--stop 1 --older 1 --writers 1 --no-zombies --whole", "S3"),
    (Rule::LateDoubt, "--cut 1 --older 1 --relative --no-zombies", "S"),
    (Rule::Epoch, "--stop 1 --older 1 --writers 1 --no-zombies --whole", "S3"),
    (Rule::NewCount, "--cut 1 --writers 1", "S2"),
    (Rule::OwnCount, "--same 1 --older 1 --cut 1 --write 1 --whole --no-zombies --writers 1", "S3"),
    (Rule::SeenEqual, "--cut 1", "S2"),
    (Rule::OwnMark, "--flush 2 --write 1", "S2"),
    (Rule::FencingToken, "--expire 1 --cut 1 --write 1", "S2"),
    (Rule::AllHinted, "--vanish 1 --stop 1 --write 1 --writers 1 --no-zombies", "S2"),
    (Rule::AllDoubted, "--first-full --cut 1 --older 1 --relative --writers 1 --no-zombies", "S3"),
    (Rule::AllAnew, "--keys 2 --vanish 1 --same 1 --write 1 --writers 1 --no-zombies --whole", "S2"),
    (Rule::Forget, "--forget 1 --stop 1 --write 1 --no-zombies", "L"),
    (Rule::PassOn, "--forget 1 --cut 1 --write 1", "L"),
    (
        Rule::HintForgotten,
        "--held --nodes 3 --forget 1 --cut 1 --write 1 --writers 1 --no-zombies --whole",
        "S3",
    ),
    (Rule::TellLost, "--forget 1 --stop 1 --write 1", "F"),
    (Rule::ClearFirst, "--outside 1 --write 1 --whole", "L"),
    (Rule::Barrier, "--late-feed", "S3"),
    (Rule::Gap, "--gap 1 --late-feed", "S3"),
    (Rule::Twice, "--deaf", "S3"),
    (Rule::HintsLast, "--cut 1", "S3"),
    (Rule::SameOrder, "--expire 1", "S4"),
    (Rule::Absence, "--outside 1 --write 1", "S5"),
    (Rule::Word, "--deletes --outside 1 --whole", "S4"),
    (Rule::Given, "--deletes --outside 1 --whole --write 1", "S2"),
    (Rule::Eviction, "--evicts 0 --write 1", "S5"),
    (Rule::NoRefill, "--evicts 1 --write 1", "L"),
    (Rule::Feed, "", "L"),
];

fn check(rule: Rule) {
    let (_, line, expected) = NEEDED.into_iter().find(|needed| needed.0 == rule).unwrap();
    breaks(&format!("{line} --without {rule:?}"), expected);
}

#[test]
fn each_rule_is_needed() {
    for rule in Rule::ALL {
        check(rule);
    }
}
