//! Whether every published crate carries the licence texts.
//!
//! Cargo packs only what lies in a crate's own directory, so each has links to the texts at the root; cargo packs what
//! they point at.

use std::fs;
use std::path::{Path, PathBuf};

const TEXTS: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

pub(crate) fn check(root: &Path, crates: &[PathBuf]) -> Result<String, Vec<String>> {
    let read = |path: PathBuf| fs::read(&path).map_err(|error| format!("{}: {error}", path.display()));
    let mut problems = Vec::new();
    for name in TEXTS {
        let text = match read(root.join(name)) {
            Ok(text) => text,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        for directory in crates {
            match read(directory.join(name)) {
                Ok(copy) if copy == text => {}
                Ok(_) => {
                    problems.push(format!("{} is not the text at the root", directory.join(name).display()));
                }
                Err(problem) => problems.push(format!("{problem} (ln -s ../{name} there)")),
            }
        }
    }
    if problems.is_empty() {
        Ok(format!("{} in each of {} crates", TEXTS.join(" and "), crates.len()))
    } else {
        Err(problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_without_the_texts_is_found() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.join("..");
        assert!(check(&root, std::slice::from_ref(&root)).is_ok());
        let problems =
            check(&root, &[root.clone(), here.to_owned()]).expect_err("this crate is not published");
        assert_eq!(problems.len(), TEXTS.len(), "{problems:?}");
        assert!(problems[1].contains("ln -s ../LICENSE-MIT"), "{problems:?}");
    }
}
