//! The configuration of a ring, as data for a file.

use crate::{BuildError, Builder, HashRing, HashTag, layout::Layout};

/// A node of a ring: its name, and its share of the keys.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct Member {
    /// Its name, unique in the ring. Keys follow the name: an address may change, the name must not.
    pub name: String,
    /// Its share of the keys relative to the others. Default 1.
    #[cfg_attr(feature = "serde", serde(default = "one"))]
    pub weight: f64,
    /// The text that is hashed for the node in a compatible [`Layout`], where that does not follow from the
    /// name.
    #[cfg(feature = "layouts")]
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub label: Option<String>,
}

#[cfg(feature = "serde")]
fn one() -> f64 {
    1.0
}

impl Member {
    /// A node of weight 1.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            weight: 1.0,
            #[cfg(feature = "layouts")]
            label: None,
        }
    }

    /// Gives the node `weight` times the keys of a node of weight 1.
    #[must_use]
    pub fn weight(mut self, weight: impl Into<f64>) -> Self {
        self.weight = weight.into();
        self
    }

    /// Sets what is hashed for the node in a compatible [`Layout`]; see there what that is and when it is
    /// needed.
    #[cfg(feature = "layouts")]
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }
}

impl From<&str> for Member {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<String> for Member {
    fn from(name: String) -> Self {
        Self::new(name)
    }
}

/// Everything that decides where keys land: two rings with the same config place every key alike.
///
/// With the feature `serde` it can be read from a file. A config that was read has not been checked;
/// [`build`](Self::build) does that.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct RingConfig {
    /// The nodes. Their order decides their index, but not where keys land (some compatible layouts differ).
    pub nodes: Vec<Member>,
    /// Whose placement it is. Default [`Layout::Xxh3`], our own.
    #[cfg_attr(feature = "serde", serde(default))]
    pub layout: Layout,
    /// The rule for the part of a key that is hashed. `None`, the default, is the rule of the layout:
    /// [`HashTag::Cluster`] for our own.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub hash_tag: Option<HashTag>,
}

impl RingConfig {
    /// Builds the ring.
    ///
    /// # Errors
    /// When the nodes do not make a ring, as [`BuildError`] says.
    pub fn build(self) -> Result<HashRing, BuildError> {
        HashRing::new(self)
    }
}

impl From<RingConfig> for Builder {
    fn from(config: RingConfig) -> Self {
        Self { config }
    }
}

#[cfg(feature = "serde")]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_described_by_names_weights_layout_and_tag() {
        let read = |json: &str| serde_json::from_str::<RingConfig>(json);
        let config = read(r#"{"nodes": [{"name": "a"}, {"name": "b", "weight": 2}]}"#).unwrap();
        let built = HashRing::builder().node("a").weighted_node("b", 2).build().unwrap();
        assert_eq!(&config, built.config());
        let written = serde_json::to_string(&config).unwrap();
        assert_eq!(read(&written).unwrap(), config);

        let tagged = r#"{"nodes": [{"name": "a"}], "hash_tag": {"delimiters": {"open": 36, "close": 36}}}"#;
        assert_eq!(read(tagged).unwrap().hash_tag, Some(HashTag::Delimiters { open: b'$', close: b'$' }));
        assert!(read(r#"{"nodes": [{"name": "a", "wieght": 2}]}"#).is_err());
    }

    #[cfg(feature = "layouts")]
    #[test]
    fn a_layout_is_named_with_its_settings() {
        use crate::{Hash32, layout::Twemproxy};
        let json =
            r#"{"nodes": [{"name": "a", "label": "x"}], "layout": {"twemproxy": {"hash": "fnv1a_64"}}}"#;
        let config: RingConfig = serde_json::from_str(json).unwrap();
        assert_eq!(config.layout, Layout::Twemproxy(Twemproxy::ketama(Hash32::Fnv1a64)));
        assert_eq!(
            serde_json::from_str::<RingConfig>(&serde_json::to_string(&config).unwrap()).unwrap(),
            config
        );
        for hash in Hash32::ALL {
            assert_eq!(serde_json::to_string(&hash).unwrap(), format!("{:?}", hash.name()));
        }
    }
}
