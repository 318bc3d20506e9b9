//! The reasons why a node of a copy was not repaired.

/// The error of a [repair](crate::RedisCopy::repair) of a copy's node. The keys that were brought over until then stay, and the
/// node stays behind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("node `{node}` was not repaired: {reason}")]
#[non_exhaustive]
pub struct RepairError {
    /// The node.
    pub node: String,
    /// The reason.
    pub reason: RepairReason,
}

/// The reason why a node was not repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RepairReason {
    /// Another process is repairing the node. Temporary.
    #[error("another process is repairing it; try again when that is done")]
    Busy,
    /// The node lost its data meanwhile, or another process took over. Temporary.
    #[error("it lost its data meanwhile, or another process took over; repair it again")]
    LeaseLost,
    /// The node's server was restarted meanwhile. Temporary.
    #[error("its server was restarted during the repair; repair it again")]
    Restarted,
    /// The node whose keys count lost its data meanwhile. Temporary.
    #[error("the node whose keys count lost its data meanwhile; repair it again")]
    SourceLost,
    /// No other node is up and in sync. Temporary, until one is.
    #[error(
        "no other node is up and in sync; try again when one is, or say whose keys count, by `readmit(name)` of that one, or by \
         `repair(name).from(that)`"
    )]
    NoSource,
    /// The server is marked as one of another copy. Permanent, until somebody changes that.
    #[error("it is marked as a server of another copy; check its URL, or remove that marker")]
    OtherCopy,
    /// Most keys of the server are unknown to the others, so it may be somebody else's. Permanent, until somebody changes
    /// that, or repairs the node by hand.
    #[error(
        "most of the keys that it holds are unknown to the others: it may be somebody else's server; check its URL, or repair \
         it by hand, by `repair(name)`, if it is ours"
    )]
    Foreign,
}

impl RepairError {
    pub(crate) fn new(node: &str, reason: RepairReason) -> Self {
        Self { node: node.to_owned(), reason }
    }

    /// Returns whether the reason is temporary, so that the same repair may succeed a moment later.
    pub fn is_passing(&self) -> bool {
        match self.reason {
            RepairReason::Busy
            | RepairReason::LeaseLost
            | RepairReason::Restarted
            | RepairReason::SourceLost
            | RepairReason::NoSource => true,
            RepairReason::OtherCopy | RepairReason::Foreign => false,
        }
    }

    /// Returns whether keys may have been brought over before the error.
    pub(crate) fn may_have_begun(&self) -> bool {
        matches!(self.reason, RepairReason::LeaseLost | RepairReason::Restarted | RepairReason::SourceLost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_reasons_are_told_from_permanent_ones() {
        let is_passing = |reason| RepairError::new("b", reason).is_passing();
        use RepairReason::*;
        assert_eq!([Busy, LeaseLost, Restarted, SourceLost, NoSource].map(is_passing), [true; 5]);
        assert_eq!([OtherCopy, Foreign].map(is_passing), [false; 2]);
    }
}
