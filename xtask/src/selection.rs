//! Which steps the user asked for: `--only` and `--skip`.

/// A choice among named steps.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    only: Vec<String>,
    skip: Vec<String>,
}

impl Selection {
    pub(crate) fn only(&mut self, name: String) {
        self.only.push(name);
    }

    pub(crate) fn skip(&mut self, name: String) {
        self.skip.push(name);
    }

    /// The steps to run, and the names of the others. A name that nothing answers to is an error: a misspelt `--skip`
    /// must not run what it was to leave out, nor a misspelt `--only` pass by running nothing.
    pub(crate) fn split<T>(
        &self,
        steps: Vec<T>,
        name: impl Fn(&T) -> &str,
    ) -> Result<(Vec<T>, Vec<String>), UnknownStep> {
        for wanted in self.only.iter().chain(&self.skip) {
            if !steps.iter().any(|step| answers_to(name(step), wanted)) {
                let known = steps.iter().map(|step| name(step).to_owned()).collect::<Vec<_>>().join(", ");
                return Err(UnknownStep { wanted: wanted.clone(), known });
            }
        }
        let (run, skipped): (Vec<T>, Vec<T>) = steps.into_iter().partition(|step| self.selects(name(step)));
        Ok((run, skipped.iter().map(|step| name(step).to_owned()).collect()))
    }

    fn selects(&self, step: &str) -> bool {
        let named = |names: &[String]| names.iter().any(|wanted| answers_to(step, wanted));
        (self.only.is_empty() || named(&self.only)) && !named(&self.skip)
    }
}

/// Whether a step is the wanted one, or in the wanted group.
fn answers_to(step: &str, wanted: &str) -> bool {
    step.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no step `{wanted}` in this command; there are: {known}")]
pub(crate) struct UnknownStep {
    wanted: String,
    known: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(only: &[&str], skip: &[&str]) -> Result<(Vec<&'static str>, Vec<String>), UnknownStep> {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let selection = Selection { only: owned(only), skip: owned(skip) };
        selection.split(vec!["fmt", "test/cargo", "test/example", "tests"], |step| step)
    }

    #[test]
    fn all_by_default() {
        let (run, skipped) = split(&[], &[]).expect("known");
        assert_eq!((run.len(), skipped.len()), (4, 0));
    }

    #[test]
    fn a_group_names_its_steps_and_no_others() {
        assert_eq!(split(&[], &["test"]).expect("known").0, ["fmt", "tests"]);
        assert_eq!(split(&["test"], &["test/example"]).expect("known").0, ["test/cargo"]);
    }

    #[test]
    fn unknown_names_are_refused() {
        let error = split(&["tes"], &[]).expect_err("unknown");
        assert_eq!(
            error.to_string(),
            "there is no step `tes` in this command; there are: fmt, test/cargo, test/example, tests"
        );
        assert!(split(&[], &["clipy"]).is_err());
    }
}
