//! What became of one request.

use std::sync::Arc;
use std::time::Duration;

use loadbalance::FailureKind;

/// One request, from its beginning to its answer or its end.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The number of the request, from 0.
    pub(crate) index: usize,
    /// The calls to vendors that it took, in order.
    pub(crate) calls: Vec<Call>,
    /// From the beginning of the request to the end of the answer.
    pub(crate) elapsed: Duration,
    /// The answer, or why there is none.
    pub(crate) answer: Result<String, String>,
}

/// One call to a vendor.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) vendor: Arc<str>,
    /// `None`: it answered.
    pub(crate) failure: Option<FailureKind>,
    pub(crate) elapsed: Duration,
}
