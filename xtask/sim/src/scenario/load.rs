//! From files to scenarios.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::file::File;
use super::{Scenario, ScenarioError};

/// The names of the scenarios in a directory: its `.toml` files, in order.
pub fn list(directory: &Path) -> Result<Vec<String>, ScenarioError> {
    let read = |source| ScenarioError::Read { path: directory.to_owned(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if path.extension().is_some_and(|extension| extension == "toml")
            && let Some(name) = path.file_stem().and_then(|name| name.to_str())
        {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The scenario of that name in the directory, or in the file of that path, with its variants after it. `file/variant`
/// is that variant alone.
pub fn load(directory: &Path, name: &str) -> Result<Vec<Scenario>, ScenarioError> {
    let is_path = Path::new(name).extension().is_some_and(|extension| extension == "toml");
    let (path, stem, variant) = if is_path {
        let stem = Path::new(name).file_stem().and_then(|stem| stem.to_str()).unwrap_or(name);
        (PathBuf::from(name), stem, None)
    } else {
        let (stem, variant) = name.split_once('/').map_or((name, None), |(stem, rest)| (stem, Some(rest)));
        (directory.join(format!("{stem}.toml")), stem, variant)
    };
    let known = || -> Result<Vec<String>, ScenarioError> { list(directory) };
    if !is_path && !path.is_file() {
        return Err(ScenarioError::Unknown { name: name.into(), known: known()? });
    }
    let text =
        fs::read_to_string(&path).map_err(|source| ScenarioError::Read { path: path.clone(), source })?;
    let scenarios =
        parse(stem, &text).map_err(|problem| ScenarioError::Invalid { path: path.clone(), problem })?;
    if variant.is_none() {
        return Ok(scenarios);
    }
    let known = scenarios.iter().map(|scenario| scenario.name.clone()).collect();
    let found: Vec<_> = scenarios.into_iter().filter(|scenario| scenario.name == name).collect();
    if found.is_empty() { Err(ScenarioError::Unknown { name: name.into(), known }) } else { Ok(found) }
}

/// The scenario in `text`, with its variants after it.
pub fn parse(name: &str, text: &str) -> Result<Vec<Scenario>, String> {
    // From the text first: so an error shows the line.
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    let table: toml::Table = toml::from_str(text).map_err(|error| error.to_string())?;
    let mut scenarios = Vec::new();
    let variants = file.variants.clone();
    let (title, about) = (file.title.clone(), file.about.clone());
    scenarios.push(Scenario::new(name.to_owned(), file)?);
    for variant in variants {
        let at = |problem: String| format!("in variant `{}`: {problem}", variant.name);
        let mut merged = table.clone();
        merge(&mut merged, &variant.set);
        let mut file =
            File::deserialize(toml::Value::Table(merged)).map_err(|error| at(error.to_string()))?;
        file.title = format!("{title}: {}", variant.title);
        file.about.clone_from(&about);
        scenarios.push(Scenario::new(format!("{name}/{}", variant.name), file).map_err(at)?);
    }
    Ok(scenarios)
}

/// Tables are merged, everything else is replaced. A table that names another alternative of the same choice
/// (`{ poisson = 5 }` where `{ constant = 5 }` was) is replaced, too.
fn merge(base: &mut toml::Table, changes: &toml::Table) {
    const CHOICES: [&str; 3] = ["arrivals", "service", "kind"];
    for (key, change) in changes {
        match (base.get_mut(key), change) {
            (Some(toml::Value::Table(base)), toml::Value::Table(change))
                if !CHOICES.contains(&key.as_str()) =>
            {
                merge(base, change);
            }
            _ => _ = base.insert(key.clone(), change.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
        title = "t"
        about = "a"
        duration = "10s"
        arrivals = { poisson = 100.0 }
        [[hosts]]
        name = "web"
        count = 3
        service = { exponential = "20ms" }
    "#;

    #[test]
    fn a_variant_changes_what_it_names() {
        let text = format!(
            "{SMALL}\n[clients.config]\nattempt_timeout = \"1s\"\n[[variants]]\nname = \"retries\"\n\
             title = \"with retries\"\nset.clients.config.max_retries = 3\nset.arrivals.constant = 5.0\n"
        );
        let scenarios = parse("x", &text).expect("valid");
        let [base, retries] = &scenarios[..] else { panic!("two") };
        assert_eq!((&*base.name, &*retries.name), ("x", "x/retries"));
        assert_eq!((base.config.max_retries(), retries.config.max_retries()), (0, 3));
        assert_eq!(retries.config.attempt_timeout(), base.config.attempt_timeout());
        assert!(matches!(retries.arrivals, super::super::file::Arrivals::Constant(5.0)));
    }

    #[test]
    fn mistakes_are_named() {
        let of = |text: &str| parse("x", text).expect_err("not valid");
        let with = |more: &str| of(&format!("{SMALL}\n{more}"));
        assert!(of(&SMALL.replace("count", "cuont")).contains("cuont"), "a misspelt field");
        assert!(of(&SMALL.replace("10s", "ten")).contains("ten"), "no length of time");
        assert!(of(&SMALL.replace("100.0", "-1.0")).contains("arrivals"));
        assert!(with("[[faults]]\nhosts = [\"web-7\"]\nkind = \"hang\"").contains("web-7"));
        assert!(with("[clients.config]\nmax_retires = 1").contains("max_retires"));
        assert!(
            with(
                "[clients]\nalone = true\n[[hosts]]\nname = \"b\"\ncount = 1\nworkers = 1\n\
             service = { constant = \"1ms\" }"
            )
            .contains("alone")
        );
        let variant = with("[[variants]]\nname = \"v\"\ntitle = \"v\"\nset.durration = \"1s\"");
        assert!(variant.contains("`v`") && variant.contains("durration"), "{variant}");
    }
}
