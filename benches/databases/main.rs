//! What several servers on one database cost, and writes on each engine. Needs the databases of the tests:
//! `scripts/with-databases cargo bench --bench databases`, and behind `--` the names of some parts, if not
//! all are wanted.

mod deletes;
#[path = "../wire/load/mod.rs"]
#[allow(dead_code, unreachable_pub, unused_imports, reason = "its tests are run by tests/load.rs")]
mod load;
mod misses;
#[path = "../core/raw.rs"]
mod raw;
mod reads;
#[path = "../../tests/support/mod.rs"]
#[allow(unused_imports, reason = "the tests need more of it")]
mod support;
mod writes;

use std::error::Error;
use std::time::Duration;

use tokio::runtime::Runtime;

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::var_os("CLAVIGER_TEST_POSTGRES").is_none() {
        println!("databases: NOT MEASURED; run scripts/with-databases cargo bench");
        return Ok(());
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_given = |name: &str| arguments.iter().any(|argument| argument == name);
    let short = is_given("--short");
    let all = !["writes", "deletes", "misses", "reads"].into_iter().any(is_given);
    if all || is_given("writes") {
        let scale = if short {
            writes::Scale { rounds: 1, one_by_one: 5, each: 1 }
        } else {
            writes::Scale { rounds: 5, one_by_one: 200, each: 20 }
        };
        Runtime::new()?.block_on(writes::measure(scale));
    }
    if all || is_given("deletes") {
        Runtime::new()?.block_on(deletes::measure(if short { 20 } else { 1_000 }));
    }
    if all || is_given("misses") {
        let (rounds, each) = if short { (1, 50) } else { (5, 2_000) };
        Runtime::new()?.block_on(misses::measure(rounds, each));
    }
    if all || is_given("reads") {
        let (rounds, length) = if short { (1, 200) } else { (5, 2_000) };
        reads::measure(rounds, Duration::from_millis(length))?;
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
