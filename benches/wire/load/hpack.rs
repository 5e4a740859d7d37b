//! Header compression of requests (RFC 7541), without Huffman codes.

use std::io;

use super::frames::MAX_PAYLOAD;

/// The room in the dynamic table that every peer gives who has not said otherwise.
pub(super) const TABLE_SIZE: usize = 4_096;
/// What each entry takes of it beyond name and value.
const ENTRY_OVERHEAD: usize = 32;
/// The static table has the indices below.
const FIRST_DYNAMIC: usize = 62;

/// The parts of the static table that requests need: whole fields, and names.
const STATIC_FIELDS: [((&str, &str), usize); 2] =
    [((":method", "POST"), 3), ((":scheme", "http"), 6)];
const STATIC_NAMES: [(&str, usize); 5] = [
    (":authority", 1),
    (":path", 4),
    ("authorization", 23),
    ("content-type", 31),
    ("user-agent", 58),
];

/// The same header fields, encoded twice.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Blocks {
    /// For the first request of a connection: fills the peer's dynamic table.
    pub(super) first: Vec<u8>,
    /// For all others: only looks up that table.
    pub(super) later: Vec<u8>,
}

impl Blocks {
    /// Encodes header fields; all that are not in the static table must fit the dynamic one together.
    pub(super) fn new(fields: &[(String, String)]) -> io::Result<Self> {
        let mut blocks = Self::default();
        let is_static = |field: &&(String, String)| static_field(field).is_some();
        let mut to_come = fields.len() - fields.iter().filter(is_static).count();
        let mut size = 0;
        for field in fields {
            if let Some(index) = static_field(field) {
                put_integer(&mut blocks.first, 0x80, 7, index);
                put_integer(&mut blocks.later, 0x80, 7, index);
                continue;
            }
            let (name, value) = field;
            size += name.len() + value.len() + ENTRY_OVERHEAD;
            if let Some(&(_, index)) = STATIC_NAMES.iter().find(|(known, _)| known == name) {
                put_integer(&mut blocks.first, 0x40, 6, index);
            } else {
                blocks.first.push(0x40);
                put_string(&mut blocks.first, name);
            }
            put_string(&mut blocks.first, value);
            // The newest entry has the lowest index.
            to_come -= 1;
            put_integer(&mut blocks.later, 0x80, 7, FIRST_DYNAMIC + to_come);
        }
        if size > TABLE_SIZE || blocks.first.len() > MAX_PAYLOAD {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the headers are too long"));
        }
        Ok(blocks)
    }
}

fn static_field((name, value): &(String, String)) -> Option<usize> {
    let found = STATIC_FIELDS.iter().find(|((n, v), _)| n == name && v == value);
    found.map(|&(_, index)| index)
}

fn put_string(out: &mut Vec<u8>, string: &str) {
    put_integer(out, 0, 7, string.len());
    out.extend_from_slice(string.as_bytes());
}

/// Writes an integer into the low bits of a byte whose high bits are given, and into more bytes if it does
/// not fit (RFC 7541, section 5.1).
fn put_integer(out: &mut Vec<u8>, high: u8, bits: u32, value: usize) {
    let limit = (1 << bits) - 1;
    if value < limit {
        out.push(high | value as u8);
        return;
    }
    out.push(high | limit as u8);
    let mut rest = value - limit;
    while rest >= 0x80 {
        out.push(0x80 | (rest & 0x7f) as u8);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        fields.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn integers_are_as_in_the_standard() {
        let integer = |bits, value| {
            let mut out = Vec::new();
            put_integer(&mut out, 0, bits, value);
            out
        };
        // RFC 7541, appendix C.1.
        assert_eq!(integer(5, 10), [10]);
        assert_eq!(integer(5, 1337), [31, 154, 10]);
        assert_eq!(integer(8, 42), [42]);
        assert_eq!(integer(7, 127), [127, 0]);
        assert_eq!(integer(7, 126), [126]);
    }

    #[test]
    fn literals_are_as_in_the_standard() {
        // RFC 7541, appendices C.2.1 and C.3.1.
        let blocks = Blocks::new(&fields(&[("custom-key", "custom-header")])).unwrap();
        assert_eq!(blocks.first, b"\x40\x0acustom-key\x0dcustom-header");
        let blocks = Blocks::new(&fields(&[(":authority", "www.example.com")])).unwrap();
        assert_eq!(blocks.first, b"\x41\x0fwww.example.com");
        assert_eq!(blocks.later, [0xbe]);
    }

    #[test]
    fn the_newest_entry_has_the_lowest_index() {
        let request = fields(&[
            (":method", "POST"),
            (":path", "/a"),
            (":scheme", "http"),
            ("te", "trailers"),
            ("x", "y"),
        ]);
        let blocks = Blocks::new(&request).unwrap();
        assert_eq!(blocks.first, b"\x83\x44\x02/a\x86\x40\x02te\x08trailers\x40\x01x\x01y");
        assert_eq!(blocks.later, [0x83, 0xc0, 0x86, 0xbf, 0xbe]);
    }

    #[test]
    fn what_does_not_fit_the_table_is_refused() {
        let long = "a".repeat(TABLE_SIZE - ENTRY_OVERHEAD - 1);
        assert!(Blocks::new(&fields(&[("x", &long)])).is_ok());
        assert!(Blocks::new(&fields(&[("xy", &long)])).is_err());
    }
}
