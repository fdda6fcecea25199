//! Server-sent events, as far as chat vendors use them: the `data` of each event.

use std::collections::VecDeque;

/// Cuts the bytes of a stream, in whatever pieces they arrive, into the `data` of its events.
#[derive(Debug, Default)]
pub(crate) struct SseParser {
    /// The beginning of a line whose end has not arrived.
    line: Vec<u8>,
    /// The `data` lines of an event whose end has not arrived.
    data: Vec<String>,
    events: VecDeque<String>,
}

impl SseParser {
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if *byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                self.line_ended(String::from_utf8_lossy(&line).trim_end_matches('\r'));
            } else {
                self.line.push(*byte);
            }
        }
    }

    pub(crate) fn next(&mut self) -> Option<String> {
        self.events.pop_front()
    }

    fn line_ended(&mut self, line: &str) {
        if line.is_empty() {
            if !self.data.is_empty() {
                self.events.push_back(std::mem::take(&mut self.data).join("\n"));
            }
        } else if let Some(data) = line.strip_prefix("data:") {
            self.data.push(data.strip_prefix(' ').unwrap_or(data).to_owned());
        }
        // Comments (keep-alives), `event:`, `id:` and `retry:` mean nothing here.
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_in_whatever_pieces_they_come() {
        let stream = ": hello\r\n\r\nevent: x\ndata: {\"a\": \"ä\"}\n\ndata:one\r\ndata: two\r\n\r\ndata: [DONE]\n\ndata: cut";
        for size in 1..stream.len() {
            let mut parser = SseParser::default();
            stream.as_bytes().chunks(size).for_each(|piece| parser.feed(piece));
            let events: Vec<_> = std::iter::from_fn(|| parser.next()).collect();
            assert_eq!(events, ["{\"a\": \"ä\"}", "one\ntwo", "[DONE]"], "pieces of {size}");
        }
    }
}
