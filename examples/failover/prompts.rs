//! The prompts file: one JSON object per line.

use std::path::Path;

use serde::Deserialize;

use crate::problem::Problem;

/// The prompts that come with the example.
pub(crate) const BUNDLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/failover/prompts.jsonl");

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prompt {
    #[serde(rename = "prompt")]
    pub(crate) text: String,
    pub(crate) system: Option<String>,
    pub(crate) max_tokens: Option<u32>,
}

impl Prompt {
    /// What the request will use of a quota counted in tokens, roughly: providers count the prompt and the answer.
    pub(crate) fn estimated_tokens(&self) -> u64 {
        let text = self.text.len() + self.system.as_ref().map_or(0, String::len);
        (text / 4) as u64 + u64::from(self.max_tokens.unwrap_or(256))
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<Prompt>, Problem> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Problem::new(format!("cannot read the prompts file {}: {error}; check --prompts", path.display()))
    })?;
    parse(&text, &path.display().to_string())
}

fn parse(text: &str, file: &str) -> Result<Vec<Prompt>, Problem> {
    let mut prompts = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let problem = |what: String| {
            Problem::new(format!(
                "{file}, line {number}: {what}; a line is like {{\"prompt\": \"Why is the sky blue?\"}}"
            ))
        };
        let prompt: Prompt = serde_json::from_str(line).map_err(|error| {
            // serde counts lines from the beginning of this line; only the column says something.
            let column = error.column();
            problem(
                error
                    .to_string()
                    .replace(&format!(" at line 1 column {column}"), &format!(" (column {column})")),
            )
        })?;
        if prompt.text.trim().is_empty() {
            return Err(problem("`prompt` is empty".into()));
        }
        if prompt.max_tokens == Some(0) {
            return Err(problem("`max_tokens` is 0, and must be at least 1".into()));
        }
        prompts.push(prompt);
    }
    if prompts.is_empty() {
        return Err(Problem::new(format!("{file} has no prompts; put one JSON object per line into it")));
    }
    Ok(prompts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lines_and_skips_empty_ones() {
        let prompts = parse("{\"prompt\":\"a\"}\n\n{\"prompt\":\"b\",\"max_tokens\":9}\n", "p").unwrap();
        assert_eq!(prompts.len(), 2);
        assert_eq!(prompts[1].estimated_tokens(), 9);
    }

    #[test]
    fn the_line_and_the_field_are_named() {
        let bad = [
            ("{\"prompt\":\"a\"}\n{\"promt\":\"b\"}", "p, line 2: unknown field `promt`"),
            ("{\"system\":\"a\"}", "p, line 1: missing field `prompt`"),
            ("{\"prompt\":7}", "(column 11)"),
            ("{\"prompt\":\" \"}", "`prompt` is empty"),
            ("{\"prompt\":\"a\",\"max_tokens\":0}", "`max_tokens` is 0"),
            ("nonsense", "p, line 1:"),
            ("\n", "p has no prompts"),
        ];
        for (text, part) in bad {
            let problem = parse(text, "p").unwrap_err().to_string();
            assert!(problem.contains(part), "{text}: {problem}");
        }
    }
}
