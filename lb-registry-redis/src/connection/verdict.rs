//! What an error says of the connection: [`Trouble`].

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// No answer in time.
    Timeout,
    /// The connection broke, or what came over it was not the protocol.
    Lost,
    /// Connected to one who is not the master.
    NotMaster,
    /// The server will serve later.
    NotReady,
    /// Another node of the Cluster has what was asked for.
    Elsewhere,
    /// The server does not know the script.
    NoScript,
    /// The server understood, and refused.
    Refused,
}

/// What to do with the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Keep,
    Replace,
}

/// So many timeouts in a row, and the connection is replaced: nothing else would do it where packets vanish.
const TIMEOUTS: u32 = 2;

impl Trouble {
    pub(crate) fn of(error: &RedisError) -> Self {
        if error.is_timeout() {
            return Self::Timeout;
        }
        match error.kind() {
            ErrorKind::Io | ErrorKind::Parse | ErrorKind::ClusterConnectionNotFound => Self::Lost,
            // A transaction is refused for what the first of its commands is refused for.
            ErrorKind::Server(ServerErrorKind::ExecAbort) => {
                let causes = error.clone().into_server_errors();
                let cause = causes.as_deref().and_then(|causes| causes.first()?.1.kind());
                cause.map_or(Self::Refused, Self::said)
            }
            ErrorKind::Server(kind) => Self::said(kind),
            _ => Self::Refused,
        }
    }

    /// What the server said.
    fn said(kind: ServerErrorKind) -> Self {
        match kind {
            ServerErrorKind::ReadOnly => Self::NotMaster,
            ServerErrorKind::NoScript => Self::NoScript,
            ServerErrorKind::Moved => Self::Elsewhere,
            ServerErrorKind::BusyLoading
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::Ask
            | ServerErrorKind::TryAgain => Self::NotReady,
            _ => Self::Refused,
        }
    }

    /// What to do after this, being the `timeouts`-th timeout in a row if it is one.
    pub(crate) fn verdict(self, timeouts: u32) -> Verdict {
        match self {
            Self::Timeout if timeouts < TIMEOUTS => Verdict::Keep,
            Self::Timeout | Self::Lost | Self::NotMaster => Verdict::Replace,
            Self::NotReady | Self::Elsewhere | Self::NoScript | Self::Refused => Verdict::Keep,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_another_connection_cures_replaces_it() {
        assert_eq!(Trouble::Timeout.verdict(1), Verdict::Keep);
        assert_eq!(Trouble::Timeout.verdict(2), Verdict::Replace);
        assert_eq!(Trouble::Lost.verdict(0), Verdict::Replace);
        assert_eq!(Trouble::NotMaster.verdict(0), Verdict::Replace);
        for kept in [Trouble::NotReady, Trouble::Elsewhere, Trouble::NoScript, Trouble::Refused] {
            assert_eq!(kept.verdict(9), Verdict::Keep, "{kept:?}");
        }
        let io = |kind: std::io::ErrorKind| Trouble::of(&RedisError::from(std::io::Error::from(kind)));
        assert_eq!(io(std::io::ErrorKind::TimedOut), Trouble::Timeout);
        assert_eq!(io(std::io::ErrorKind::BrokenPipe), Trouble::Lost);
    }
}
