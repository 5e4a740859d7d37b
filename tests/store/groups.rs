//! Units of work that come together share a commit, and nothing else.

use std::sync::Arc;

use claviger::domain::{Key, SecretDigest};
use claviger::store::{StoreError, Transaction};
use futures_util::future::{BoxFuture, join_all};
use futures_util::{FutureExt, poll};
use uuid::Uuid;

use super::builders::{a_key, at, digest_of, workspace_id};
use super::database::{Database, Failure};
use super::gate::Gate;

conformance! {
    units_of_work_that_come_together_share_a_commit,
    one_that_is_refused_harms_no_other,
    one_that_fails_on_the_database_is_refused_alone,
    one_that_loses_against_another_is_begun_again_alone,
    one_that_panics_is_an_error_and_the_next_ones_are_carried_out,
    a_caller_that_hangs_up_does_not_take_its_unit_of_work_back,
}

const GROUP: &str = "acme";
/// How many come while another is under way.
const AT_ONCE: u128 = 24;
/// One among them.
const ODD: u128 = 7;

async fn prepared(database: Database) -> Database {
    let initialize = database.transact((), |(), tx| {
        Box::pin(async move { Ok(tx.metadata().initialize(Uuid::from_u128(1), at(0)).await?) })
    });
    initialize.await.unwrap();
    database.add_workspaces(&[GROUP]).await;
    database
}

/// What the unit of work of this number does.
type Step = for<'a> fn(u128, &'a Transaction) -> BoxFuture<'a, Result<(), Failure>>;

async fn insert(number: u128, tx: &Transaction) -> Result<(), Failure> {
    let key = a_key(number).build();
    // A secret that somebody may have presented before: others must learn of it, at a revision.
    Ok(tx.keys().import(&key, &digest_of(&key)).await?)
}

async fn work(database: &Database, number: u128, step: Step) -> Result<(), Failure> {
    fn run<'a>(
        (number, step): &'a (u128, Step),
        tx: &'a Transaction,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        step(*number, tx)
    }
    database.transact_in(Some(GROUP), (number, step), run).await
}

/// Carries out units of work that all came while another one of their group was under way. Returns what
/// became of each, and at how many revisions.
async fn together(database: &Database, step: Step) -> (Vec<Result<(), Failure>>, i64) {
    let gate: Arc<Gate> = Arc::default();
    let first = database.transact_in(Some(GROUP), Arc::clone(&gate), |gate, tx| {
        Box::pin(async move {
            insert(1_000, tx).await?;
            gate.pass().await;
            Ok(())
        })
    });
    let others = async {
        gate.reached().await;
        let mut others = join_all((0..AT_ONCE).map(|number| work(database, number, step)));
        assert!(poll!(&mut others).is_pending());
        gate.open.notify_one();
        others.await
    };
    let before = revision(database).await;
    let (first, others) = tokio::join!(first, others);
    first.unwrap();
    (others, revision(database).await - before)
}

async fn revision(database: &Database) -> i64 {
    database.store.read_revision().await.unwrap().unwrap().number
}

async fn is_there(database: &Database, number: u128) -> bool {
    let digest: SecretDigest = digest_of(&a_key(number).build());
    database.store.keys().find_by_digest(&digest).await.unwrap().is_some()
}

/// All but the odd one are there.
async fn assert_all_others(database: &Database, outcomes: &[Result<(), Failure>]) {
    for (number, outcome) in (0..).zip(outcomes) {
        assert_eq!(outcome.is_ok(), number != ODD, "{number}: {outcome:?}");
        assert_eq!(is_there(database, number).await, number != ODD, "{number}");
    }
}

async fn units_of_work_that_come_together_share_a_commit(database: Database) {
    let database = prepared(database).await;
    let (outcomes, commits) = together(&database, |number, tx| insert(number, tx).boxed()).await;
    for (number, outcome) in (0..).zip(outcomes) {
        outcome.unwrap();
        assert!(is_there(&database, number).await);
    }
    assert_eq!(commits, 2, "one for the first, and one for all that came meanwhile");
}

async fn one_that_is_refused_harms_no_other(database: Database) {
    let database = prepared(database).await;
    let (outcomes, commits) = together(&database, |number, tx| {
        let work = async move {
            insert(number, tx).await?;
            if number == ODD { Err(Failure::Refused) } else { Ok(()) }
        };
        work.boxed()
    })
    .await;
    assert_all_others(&database, &outcomes).await;
    assert!(matches!(outcomes[ODD as usize], Err(Failure::Refused)));
    assert_eq!(commits, 2);
}

async fn one_that_loses_against_another_is_begun_again_alone(database: Database) {
    let database = prepared(database).await;
    let (outcomes, _) = together(&database, |number, tx| {
        let work = async move {
            insert(number, tx).await?;
            let same: Key = a_key(2_000).build();
            // The digest of another one, which could have come from somebody else meanwhile.
            if number == ODD {
                tx.keys().insert(&same, &digest_of(&a_key(ODD).build())).await?;
            }
            Ok(())
        };
        work.boxed()
    })
    .await;
    assert_all_others(&database, &outcomes).await;
    assert!(outcomes[ODD as usize].as_ref().unwrap_err().is_of_database());
}

async fn one_that_fails_on_the_database_is_refused_alone(database: Database) {
    let database = prepared(database).await;
    let (outcomes, _) = together(&database, |number, tx| {
        let work = async move {
            insert(number, tx).await?;
            if number == ODD {
                let key = a_key(2_000).network_sets(&["nowhere"]).build();
                tx.keys().insert(&key, &digest_of(&key)).await?;
            }
            Ok(())
        };
        work.boxed()
    })
    .await;
    assert_all_others(&database, &outcomes).await;
    assert!(matches!(outcomes[ODD as usize], Err(Failure::Store(_))));
}

async fn one_that_panics_is_an_error_and_the_next_ones_are_carried_out(database: Database) {
    let database = prepared(database).await;
    let (outcomes, _) = together(&database, |number, tx| {
        let work = async move {
            insert(number, tx).await?;
            assert_ne!(number, ODD, "on purpose: this belongs to the test");
            Ok(())
        };
        work.boxed()
    })
    .await;
    // It took those with it that shared its transaction: nothing of them is left.
    for (number, outcome) in (0..).zip(outcomes) {
        assert!(matches!(outcome, Err(Failure::Store(StoreError::Interrupted))), "{outcome:?}");
        assert!(!is_there(&database, number).await, "{number}");
    }
    work(&database, 1, |number, tx| insert(number, tx).boxed()).await.unwrap();
    assert!(is_there(&database, 1).await);
}

async fn a_caller_that_hangs_up_does_not_take_its_unit_of_work_back(database: Database) {
    let database = prepared(database).await;
    for number in 0..AT_ONCE {
        // Polled once, then dropped.
        let work = work(&database, number, |number, tx| insert(number, tx).boxed());
        assert!(work.now_or_never().is_none());
    }
    // Behind all of them.
    let last = database.transact_in(Some(GROUP), (), |(), tx| {
        Box::pin(async move { Ok(tx.workspaces().lock(&workspace_id(GROUP)).await?.is_some()) })
    });
    assert!(last.await.unwrap());
    for number in 0..AT_ONCE {
        assert!(is_there(&database, number).await, "{number}");
    }
}
