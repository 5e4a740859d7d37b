//! Names for people.

use std::str::FromStr;

/// What people call a key or a workspace: 1 to 128 characters, kept exactly as they were given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisplayName(String);

/// Why a text cannot be a display name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDisplayName {
    /// Nothing in it can be seen.
    #[error("must hold at least one visible character")]
    Blank,
    /// More than 128 characters.
    #[error("must not be longer than {} characters", DisplayName::MAX_CHARACTERS)]
    TooLong,
    /// A character that would make a list of names lie about what it shows.
    #[error(
        "must not hold the character U+{0:04X}: control, line-breaking, zero-width and bidirectional characters are refused"
    )]
    Forbidden(u32),
}

impl DisplayName {
    /// The longest name, in Unicode scalar values.
    pub const MAX_CHARACTERS: usize = 128;

    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DisplayName {
    type Err = InvalidDisplayName;

    fn from_str(text: &str) -> Result<Self, InvalidDisplayName> {
        if let Some(forbidden) = text.chars().find(|character| is_forbidden(*character)) {
            return Err(InvalidDisplayName::Forbidden(forbidden.into()));
        }
        if text.chars().count() > Self::MAX_CHARACTERS {
            return Err(InvalidDisplayName::TooLong);
        }
        if text.chars().all(is_blank) {
            return Err(InvalidDisplayName::Blank);
        }
        Ok(Self(text.to_owned()))
    }
}

/// Characters that hide, reorder or break what stands around them (Unicode Technical Report 36, "Unicode
/// Security Considerations").
fn is_forbidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{180E}' | '\u{FEFF}'
            | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

/// White space, and the letters that look like it.
fn is_blank(character: char) -> bool {
    character.is_whitespace()
        || matches!(character, '\u{115F}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{FFA0}')
}

/// The form of a text in which names are searched: upper and lower case are one, `ß` is `ss`.
///
/// Each character is folded by itself, because [`str::to_lowercase`] makes the form of a Greek
/// sigma depend on where its word ends, and a part of a name would not be found in the whole. Lower
/// case comes first for the sake of `ẞ`, whose upper case is itself.
#[must_use]
pub fn fold_case(text: &str) -> String {
    let lower = text.chars().flat_map(char::to_lowercase);
    lower.flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_cannot_be_seen_or_misleads() {
        let long = "x".repeat(129);
        for bad in [
            "",
            " ",
            "\u{3000}\u{2003}",
            "\u{2800}",
            "a\0",
            "a\r\nb",
            "a\u{202E}b",
            "a\u{200B}",
            "\u{FEFF}a",
            "a\u{2066}",
            "a\u{E0041}",
            "a\u{7F}",
            "a\u{85}",
            long.as_str(),
        ] {
            assert!(bad.parse::<DisplayName>().is_err(), "{bad:?}");
        }
        let longest = "é".repeat(128);
        for good in ["a", "Clé n° 1", "鍵", " padded ", "a\u{0301}", "🔑\u{FE0F}", longest.as_str()]
        {
            assert_eq!(good.parse::<DisplayName>().unwrap().as_str(), good);
        }
    }

    #[test]
    fn folds_case_as_a_person_would() {
        assert_eq!(fold_case("STRASSE"), fold_case("Straße"));
        assert_eq!(fold_case("STRAẞE"), fold_case("straße"));
        assert_eq!(fold_case("ΟΔΥΣΣΕΥΣ"), fold_case("οδυσσευς"));
        assert!(fold_case("ΟΔΥΣΣΕΥΣ ΑΒ").contains(&fold_case("σευσ")));
        assert_ne!(fold_case("resume"), fold_case("résumé"));
    }
}
