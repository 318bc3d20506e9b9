//! The wire: a connection that many callers share. So far there is the parser of its replies.

mod parser;

pub(crate) use self::parser::Broken;
pub(crate) use self::parser::Parser;
