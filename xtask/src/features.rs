//! Which choices of features to build each package with.

use std::collections::{BTreeMap, BTreeSet};

type Features = BTreeMap<String, Vec<String>>;

/// No feature at all (`None`), then each feature alone. `default` is left out if it turns on the same as one of the
/// others.
pub(crate) fn each_alone(features: &Features) -> Vec<Option<&str>> {
    let others = || features.keys().map(String::as_str).filter(|name| *name != "default");
    let mut choices: Vec<_> = std::iter::once(None).chain(others().map(Some)).collect();
    if let Some(needs) = features.get("default") {
        let default = turned_on(features, needs.iter().map(String::as_str));
        let same = choices.iter().any(|choice| turned_on(features, *choice) == default);
        if !same {
            choices.push(Some("default"));
        }
    }
    choices
}

/// The features that these bring, themselves included, and the dependencies (`dep:x`, `x/feature`).
fn turned_on<'a>(features: &'a Features, wanted: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let mut next: Vec<&str> = wanted.into_iter().collect();
    let mut on = BTreeSet::new();
    while let Some(name) = next.pop() {
        if on.insert(name) {
            next.extend(features.get(name).into_iter().flatten().map(String::as_str));
        }
    }
    on
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(list: &[(&str, &[&str])]) -> Features {
        let owned = |needs: &[&str]| needs.iter().map(|&need| need.to_owned()).collect();
        list.iter().map(|(name, needs)| ((*name).to_owned(), owned(needs))).collect()
    }

    #[test]
    fn a_package_without_features_is_built_once() {
        assert_eq!(each_alone(&features(&[])), [None]);
    }

    #[test]
    fn a_default_that_is_one_feature_is_not_built_twice() {
        let list = features(&[("default", &["memory"]), ("memory", &["dep:store"]), ("etcd", &["dep:etcd"])]);
        assert_eq!(each_alone(&list), [None, Some("etcd"), Some("memory")]);
    }

    #[test]
    fn an_empty_default_is_the_same_as_none() {
        assert_eq!(each_alone(&features(&[("default", &[])])), [None]);
    }

    #[test]
    fn a_default_of_several_is_a_choice_of_its_own() {
        let list = features(&[("default", &["a", "b"]), ("a", &[]), ("b", &[])]);
        assert_eq!(each_alone(&list), [None, Some("a"), Some("b"), Some("default")]);
    }

    #[test]
    fn features_that_need_each_other_end() {
        let list = features(&[("default", &["a"]), ("a", &["b"]), ("b", &["a"])]);
        assert_eq!(each_alone(&list), [None, Some("a"), Some("b")]);
    }
}
