//! What every database engine must do: one suite over the store's interface, run for each of them.

#![allow(unreachable_pub, reason = "the modules of one test binary")]

/// Makes each case a test for each engine: `store::keys::sqlite::<case>`.
macro_rules! conformance {
    (@engine $module:ident, $engine:ident, $($case:ident,)*) => {
        mod $module {
            use crate::store::database::Database;
            use crate::support::database::Engine;

            $(#[tokio::test]
            async fn $case() {
                super::$case(Database::create(Engine::$engine).await).await;
            })*
        }
    };
    ($($case:ident,)*) => {
        conformance!(@engine sqlite, Sqlite, $($case,)*);
        conformance!(@engine postgres, Postgres, $($case,)*);
        conformance!(@engine mariadb, MariaDb, $($case,)*);
    };
}

mod support;

mod store {
    mod builders;
    mod catalogs;
    mod database;
    mod gate;
    mod groups;
    mod identifiers;
    mod key_list;
    mod key_requests;
    mod keys;
    mod limits;
    mod members;
    mod metadata;
    mod network_sets;
    mod sealed_secrets;
    mod sqlite_file;
    mod transactions;
    mod workspaces;
}
