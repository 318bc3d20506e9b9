//! Geospatial indexes: <https://redis.io/docs/latest/commands/?group=geo>.

use std::future::Future;

use redis::FromRedisValue;
use redis::ParsingError;
use redis::RedisWrite;
use redis::ToRedisArgs;
use redis::ToSingleRedisArg;
use redis::Value;

use crate::Execute;
use crate::command::rows::GEOADD;
use crate::command::rows::GEODIST;
use crate::command::rows::GEOHASH;
use crate::command::rows::GEOPOS;
use crate::command::rows::GEORADIUS;
use crate::command::rows::GEORADIUS_RO;
use crate::command::rows::GEORADIUSBYMEMBER;
use crate::command::rows::GEORADIUSBYMEMBER_RO;
use crate::command::rows::GEOSEARCH;
use crate::command::rows::GEOSEARCHSTORE;

/// The commands on places. An index is a sorted set, so that `zrem` removes a place.
///
/// A ring sends each to the owner of its key, and refuses several keys that are not known to be together. A
/// copy reads from one node and writes to every node.
///
/// # Errors
/// `WRONGTYPE` if a key holds something else than a sorted set; otherwise as [`Execute::read`] and
/// [`Execute::write`].
pub trait GeoCommands: Execute {
    /// Adds places, pairs of a point and a name, or moves them, and returns how many are new.
    ///
    /// # Errors
    /// The server's, if a point lies closer than 5 degrees to a pole: see [`GeoPoint`].
    ///
    /// See <https://redis.io/docs/latest/commands/geoadd/>.
    fn geoadd<M: ToSingleRedisArg + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        places: impl IntoIterator<Item = (GeoPoint, M)> + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        let mut cmd = GEOADD.with(key);
        for (point, name) in places {
            cmd.arg(point).arg(name);
        }
        self.write(&GEOADD, cmd)
    }

    /// Adds places or moves them as the options say, and returns how many are new.
    ///
    /// See <https://redis.io/docs/latest/commands/geoadd/>.
    fn geoadd_with<M: ToSingleRedisArg + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        places: impl IntoIterator<Item = (GeoPoint, M)> + Send,
        options: GeoAddOptions,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        let mut cmd = GEOADD.cmd().arg(key).arg(options).take();
        for (point, name) in places {
            cmd.arg(point).arg(name);
        }
        self.write(&GEOADD, cmd)
    }

    /// Returns the distance between two places, `None` if one of them does not exist. The error is up to 0.5
    /// %.
    ///
    /// See <https://redis.io/docs/latest/commands/geodist/>.
    fn geodist(
        &self,
        key: impl ToSingleRedisArg + Send,
        a: impl ToSingleRedisArg + Send,
        b: impl ToSingleRedisArg + Send,
        unit: GeoUnit,
    ) -> impl Future<Output = Result<Option<f64>, Self::Error>> + Send {
        self.read(&GEODIST, GEODIST.cmd().arg(key).arg(a).arg(b).arg(unit).take())
    }

    /// Returns the geohashes of places (11 characters), in the order of the names.
    ///
    /// See <https://redis.io/docs/latest/commands/geohash/>.
    fn geohash(
        &self,
        key: impl ToSingleRedisArg + Send,
        names: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Vec<Option<String>>, Self::Error>> + Send {
        self.read(&GEOHASH, GEOHASH.cmd().arg(key).arg(names).take())
    }

    /// Returns where places are, in the order of the names, within rounding of what was stored.
    ///
    /// See <https://redis.io/docs/latest/commands/geopos/>.
    fn geopos(
        &self,
        key: impl ToSingleRedisArg + Send,
        names: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Vec<Option<GeoPoint>>, Self::Error>> + Send {
        self.read(&GEOPOS, GEOPOS.cmd().arg(key).arg(names).take())
    }

    /// Returns the names of the places within a distance of a point. The command can store its result, so it
    /// counts as a write.
    ///
    /// The server calls it deprecated: [`geosearch`](Self::geosearch) does more, and is a read.
    ///
    /// See <https://redis.io/docs/latest/commands/georadius/>.
    fn georadius<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        center: GeoPoint,
        radius: f64,
        unit: GeoUnit,
    ) -> impl Future<Output = Result<Self::Write<Vec<V>>, Self::Error>> + Send {
        self.write(&GEORADIUS, GEORADIUS.cmd().arg(key).arg(center).arg(radius).arg(unit).take())
    }

    /// Returns the names of the places within a distance of a point: [`georadius`](Self::georadius) as a
    /// read.
    ///
    /// See <https://redis.io/docs/latest/commands/georadius_ro/>.
    fn georadius_ro<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        center: GeoPoint,
        radius: f64,
        unit: GeoUnit,
    ) -> impl Future<Output = Result<Vec<V>, Self::Error>> + Send {
        self.read(&GEORADIUS_RO, GEORADIUS_RO.cmd().arg(key).arg(center).arg(radius).arg(unit).take())
    }

    /// Returns the names of the places within a distance of one of them. The command can store its result, so
    /// it counts as a write.
    ///
    /// The server calls it deprecated: [`geosearch`](Self::geosearch) does more, and is a read.
    ///
    /// See <https://redis.io/docs/latest/commands/georadiusbymember/>.
    fn georadiusbymember<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        member: impl ToSingleRedisArg + Send,
        radius: f64,
        unit: GeoUnit,
    ) -> impl Future<Output = Result<Self::Write<Vec<V>>, Self::Error>> + Send {
        self.write(
            &GEORADIUSBYMEMBER,
            GEORADIUSBYMEMBER.cmd().arg(key).arg(member).arg(radius).arg(unit).take(),
        )
    }

    /// Returns the names of the places within a distance of one of them:
    /// [`georadiusbymember`](Self::georadiusbymember) as a read.
    ///
    /// See <https://redis.io/docs/latest/commands/georadiusbymember_ro/>.
    fn georadiusbymember_ro<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        member: impl ToSingleRedisArg + Send,
        radius: f64,
        unit: GeoUnit,
    ) -> impl Future<Output = Result<Vec<V>, Self::Error>> + Send {
        self.read(
            &GEORADIUSBYMEMBER_RO,
            GEORADIUSBYMEMBER_RO.cmd().arg(key).arg(member).arg(radius).arg(unit).take(),
        )
    }

    /// Returns the names of the places inside an area. Since Redis 6.2.
    ///
    /// See <https://redis.io/docs/latest/commands/geosearch/>.
    fn geosearch<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        search: GeoSearch,
    ) -> impl Future<Output = Result<Vec<V>, Self::Error>> + Send {
        self.read(&GEOSEARCH, GEOSEARCH.cmd().arg(key).arg(search).take())
    }

    /// Returns the places inside an area, each with its distance and its point. Since Redis 6.2.
    ///
    /// See <https://redis.io/docs/latest/commands/geosearch/>.
    fn geosearch_details<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        search: GeoSearch,
    ) -> impl Future<Output = Result<Vec<GeoMatch<V>>, Self::Error>> + Send {
        self.read(
            &GEOSEARCH,
            GEOSEARCH.cmd().arg(key).arg(search).arg("WITHCOORD").arg("WITHDIST").arg("WITHHASH").take(),
        )
    }

    /// Stores the places inside an area as an index, and returns how many there are. Since Redis 6.2.
    ///
    /// See <https://redis.io/docs/latest/commands/geosearchstore/>.
    fn geosearchstore(
        &self,
        destination: impl ToSingleRedisArg + Send,
        source: impl ToSingleRedisArg + Send,
        search: GeoSearch,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&GEOSEARCHSTORE, GEOSEARCHSTORE.cmd().arg(destination).arg(source).arg(search).take())
    }

    /// Stores the places inside an area as a sorted set by distance, and returns how many there are. Since
    /// Redis 6.2.
    ///
    /// See <https://redis.io/docs/latest/commands/geosearchstore/>.
    fn geosearchstore_dist(
        &self,
        destination: impl ToSingleRedisArg + Send,
        source: impl ToSingleRedisArg + Send,
        search: GeoSearch,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(
            &GEOSEARCHSTORE,
            GEOSEARCHSTORE.cmd().arg(destination).arg(source).arg(search).arg("STOREDIST").take(),
        )
    }
}

impl<E: Execute + ?Sized> GeoCommands for E {}

/// A point on Earth, in degrees. Redis takes latitudes up to 85.05112878 degrees north or south.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GeoPoint {
    /// East of Greenwich.
    pub longitude: f64,
    /// North of the equator.
    pub latitude: f64,
}

impl GeoPoint {
    /// A point. The longitude comes first, as everywhere in Redis.
    pub fn new(longitude: f64, latitude: f64) -> Self {
        Self { longitude, latitude }
    }
}

impl ToRedisArgs for GeoPoint {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        (self.longitude, self.latitude).write_redis_args(out);
    }
}

impl FromRedisValue for GeoPoint {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let (longitude, latitude) = FromRedisValue::from_redis_value(value)?;
        Ok(Self { longitude, latitude })
    }
}

/// A unit of length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GeoUnit {
    /// Meters.
    Meters,
    /// Kilometers.
    Kilometers,
    /// Miles of 1609.34 m.
    Miles,
    /// Feet of 0.3048 m.
    Feet,
}

impl ToRedisArgs for GeoUnit {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let word = match self {
            Self::Meters => "m",
            Self::Kilometers => "km",
            Self::Miles => "mi",
            Self::Feet => "ft",
        };
        word.write_redis_args(out);
    }
}

/// Options of `GEOADD`: by default it adds and moves, and counts what it added.
///
/// Of `nx` and `xx` the last one given counts.
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct GeoAddOptions {
    only: Option<&'static str>,
    changed: bool,
}

impl GeoAddOptions {
    /// No option.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only adds places. Since Redis 6.2.
    pub fn nx(mut self) -> Self {
        self.only = Some("NX");
        self
    }

    /// Only moves places. Since Redis 6.2.
    pub fn xx(mut self) -> Self {
        self.only = Some("XX");
        self
    }

    /// Counts the places that were moved too. Since Redis 6.2.
    pub fn ch(mut self) -> Self {
        self.changed = true;
        self
    }
}

impl ToRedisArgs for GeoAddOptions {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        (self.only, self.changed.then_some("CH")).write_redis_args(out);
    }
}

/// An area, and which of its places are wanted: by default all, in no order.
///
/// ```
/// use redisdb_node::{GeoPoint, GeoSearch, GeoUnit};
///
/// let nearest = GeoSearch::circle_at(GeoPoint::new(15.0, 37.0), 200.0, GeoUnit::Kilometers).asc().count(3);
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct GeoSearch {
    shape: Shape,
    order: Option<&'static str>,
    count: Option<(u64, bool)>,
    center: Center,
}

#[derive(Debug, Clone)]
enum Center {
    Member(Vec<u8>),
    Point(GeoPoint),
}

#[derive(Debug, Clone, Copy)]
enum Shape {
    Circle(f64, GeoUnit),
    Rectangle(f64, f64, GeoUnit),
}

impl GeoSearch {
    /// Within this distance of a place of the index.
    pub fn circle_around(member: impl AsRef<[u8]>, radius: f64, unit: GeoUnit) -> Self {
        Self::new(Center::Member(member.as_ref().to_vec()), Shape::Circle(radius, unit))
    }

    /// Within this distance of a point.
    pub fn circle_at(center: GeoPoint, radius: f64, unit: GeoUnit) -> Self {
        Self::new(Center::Point(center), Shape::Circle(radius, unit))
    }

    /// In a rectangle around a place of the index, its sides along the axes.
    pub fn rectangle_around(member: impl AsRef<[u8]>, width: f64, height: f64, unit: GeoUnit) -> Self {
        Self::new(Center::Member(member.as_ref().to_vec()), Shape::Rectangle(width, height, unit))
    }

    /// In a rectangle around a point, its sides along the axes.
    pub fn rectangle_at(center: GeoPoint, width: f64, height: f64, unit: GeoUnit) -> Self {
        Self::new(Center::Point(center), Shape::Rectangle(width, height, unit))
    }

    /// The nearest first.
    pub fn asc(mut self) -> Self {
        self.order = Some("ASC");
        self
    }

    /// The farthest first.
    pub fn desc(mut self) -> Self {
        self.order = Some("DESC");
        self
    }

    /// At most this many, the nearest ones.
    pub fn count(mut self, count: u64) -> Self {
        self.count = Some((count, false));
        self
    }

    /// At most this many, whichever are found first: faster.
    pub fn count_any(mut self, count: u64) -> Self {
        self.count = Some((count, true));
        self
    }

    fn new(center: Center, shape: Shape) -> Self {
        Self { shape, order: None, count: None, center }
    }
}

impl ToRedisArgs for GeoSearch {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        match &self.center {
            Center::Member(member) => ("FROMMEMBER", member).write_redis_args(out),
            Center::Point(point) => ("FROMLONLAT", *point).write_redis_args(out),
        }
        match self.shape {
            Shape::Circle(radius, unit) => ("BYRADIUS", radius, unit).write_redis_args(out),
            Shape::Rectangle(width, height, unit) => ("BYBOX", width, height, unit).write_redis_args(out),
        }
        let count = self.count.map(|(count, any)| ("COUNT", count, any.then_some("ANY")));
        (self.order, count).write_redis_args(out);
    }
}

/// A place that a search found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct GeoMatch<V> {
    /// Its name.
    pub name: V,
    /// Its distance from the center, in the unit of the search.
    pub distance: f64,
    /// Its score in the sorted set, a geohash of 52 bits.
    pub hash: u64,
    /// Its position on the earth.
    pub point: GeoPoint,
}

impl<V: FromRedisValue> FromRedisValue for GeoMatch<V> {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let (name, distance, hash, point) = FromRedisValue::from_redis_value(value)?;
        Ok(Self { name, distance, hash, point })
    }
}
