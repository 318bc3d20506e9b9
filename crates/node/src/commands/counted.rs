//! Words that follow their own number, as the keys of `ZUNION` and the fields of `HEXPIRE` do.

use redis::RedisWrite;
use redis::ToRedisArgs;

/// Writes the number of words its content has, and then its content.
///
/// The words are counted as they are written: `ToRedisArgs::num_of_args` counts the elements of a list, which
/// may be of several words each.
pub(super) struct Counted<T>(pub(super) T);

impl<T: ToRedisArgs> ToRedisArgs for Counted<T> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let mut words = Words(0);
        self.0.write_redis_args(&mut words);
        words.0.write_redis_args(out);
        self.0.write_redis_args(out);
    }
}

/// Counts words instead of writing them.
struct Words(u64);

impl RedisWrite for Words {
    fn write_arg(&mut self, _: &[u8]) {
        self.0 += 1;
    }

    fn writer_for_next_arg(&mut self) -> impl std::io::Write + '_ {
        self.0 += 1;
        std::io::sink()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_not_elements() {
        let words = |counted: Vec<Vec<u8>>| {
            counted.into_iter().map(|w| String::from_utf8(w).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(words(Counted("a").to_redis_args()), ["1", "a"]);
        assert_eq!(words(Counted(&["a", "b"]).to_redis_args()), ["2", "a", "b"]);
        assert_eq!(words(Counted(vec![("a", 1), ("b", 2)]).to_redis_args()), ["4", "a", "1", "b", "2"]);
        assert_eq!(words(Counted(Vec::<String>::new()).to_redis_args()), ["0"]);
    }
}
