//! What each rule is for: without it, something goes wrong where nothing does with it.

use super::claims::breaks;
use super::claims::holds;
