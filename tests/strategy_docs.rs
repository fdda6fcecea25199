//! What the documents say one may write in a configuration can be written, for every strategy there is.

use std::collections::BTreeSet;

use loadbalance::StrategySpec;
use loadbalance::prelude::*;
use loadbalance::strategy::{BuiltInStrategies, StrategyFactory};

const DOCUMENTS: [(&str, &str); 3] = [
    ("docs/strategies.md", include_str!("../docs/strategies.md")),
    ("docs/strategies/hashing.md", include_str!("../docs/strategies/hashing.md")),
    ("docs/chapters/tiers-and-zones.md", include_str!("../docs/chapters/tiers-and-zones.md")),
];

/// The JSON blocks of a document.
fn blocks(text: &str) -> Vec<&str> {
    let after = text.split("```json\n").skip(1);
    after.map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn every_block_of_json_configures_a_strategy() {
    for (name, text) in DOCUMENTS {
        assert!(!blocks(text).is_empty(), "{name}");
        for block in blocks(text) {
            let config = ServiceConfig::from_json(block).unwrap_or_else(|e| panic!("{name}: {e} in {block}"));
            let spec = config.strategy().cloned().unwrap_or_else(|| panic!("{name}: no strategy in {block}"));
            let here = BuiltInStrategies.in_zone("eu-1a");
            if let Err(error) = StrategyFactory::<Instance>::build(&here, &spec) {
                panic!("{name}: {error} in {block}");
            }
        }
    }
}

/// Every strategy has its block in the document, and every parameter that it takes is in the tables.
#[test]
fn every_strategy_and_parameter_is_documented() {
    let (_, text) = DOCUMENTS[0];
    let spec = |block: &&str| ServiceConfig::from_json(block).unwrap().strategy().unwrap().clone();
    let documented: BTreeSet<String> = blocks(text).iter().map(|block| spec(block).name).collect();
    let known: BTreeSet<String> = BuiltInStrategies::names().iter().map(ToString::to_string).collect();
    assert_eq!(documented, known);
    let all: String = DOCUMENTS.iter().map(|(_, text)| *text).collect();
    let mut params = 0;
    for name in known {
        // Who is asked for what does not exist says what does.
        let spec = StrategySpec::new(&*name).with_params(serde_json::json!({ "no_such_param": 1 }));
        let here = BuiltInStrategies.in_zone("eu-1a");
        let error = StrategyFactory::<Instance>::build(&here, &spec).err().unwrap().to_string();
        let Some((_, expected)) = error.split_once("expected ") else { continue };
        for param in expected.split('`').skip(1).step_by(2) {
            assert!(all.contains(&format!("`{param}`")), "`{param}` of `{name}`");
            params += 1;
        }
    }
    assert!(params > 30, "{params}");
}
