//! Sets of permissions.

/// Permissions of one catalogue, by the places at which they stand in it: a bit each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermissionSet(Bits);

/// Most catalogues have few permissions, and their sets stand where they are used.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Bits {
    Few([u64; FEW_WORDS]),
    Many(Box<[u64]>),
}

const FEW_WORDS: usize = 2;
const WORD: usize = u64::BITS as usize;

impl PermissionSet {
    /// An empty set, for the permissions of a catalogue that has so many.
    #[must_use]
    pub fn new(permissions: usize) -> Self {
        Self(if permissions <= FEW_WORDS * WORD {
            Bits::Few([0; FEW_WORDS])
        } else {
            Bits::Many(vec![0; permissions.div_ceil(WORD)].into())
        })
    }

    /// Adds the permission that stands at this place; what stands nowhere is not added.
    pub fn insert(&mut self, index: usize) {
        let words: &mut [u64] = match &mut self.0 {
            Bits::Few(words) => words,
            Bits::Many(words) => words,
        };
        if let Some(word) = words.get_mut(index / WORD) {
            *word |= 1 << (index % WORD);
        }
    }

    /// Whether the permission that stands at this place is in the set.
    #[must_use]
    pub fn contains(&self, index: usize) -> bool {
        let words: &[u64] = match &self.0 {
            Bits::Few(words) => words,
            Bits::Many(words) => words,
        };
        words.get(index / WORD).is_some_and(|word| word >> (index % WORD) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_added_and_nothing_else() {
        for permissions in [1, 64, 65, 128, 129, 2_000] {
            let mut set = PermissionSet::new(permissions);
            let added = |index: usize| index % 7 == 3 || index + 1 == permissions;
            (0..permissions).filter(|index| added(*index)).for_each(|index| set.insert(index));
            for index in 0..permissions {
                assert_eq!(set.contains(index), added(index), "{index} of {permissions}");
            }
            assert!(!set.contains(permissions + 64));
        }
    }
}
