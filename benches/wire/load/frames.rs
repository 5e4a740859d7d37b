//! Frames of HTTP/2 (RFC 9113, sections 4 and 6).

use std::io;

/// What a client sends first.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The length of a frame's header.
pub(super) const HEADER: usize = 9;
/// The longest payload that a peer must take, and that we take.
pub(super) const MAX_PAYLOAD: usize = 16_384;
/// The flow-control window of a connection, and of a stream of a peer that has not said otherwise.
pub(super) const DEFAULT_WINDOW: u32 = 65_535;
/// The highest identifier of a stream, and the largest window.
pub(super) const MAX_31: u32 = (1 << 31) - 1;

/// The types of frames that matter here.
pub(super) mod kind {
    pub(in super::super) const DATA: u8 = 0;
    pub(in super::super) const HEADERS: u8 = 1;
    pub(in super::super) const RST_STREAM: u8 = 3;
    pub(in super::super) const SETTINGS: u8 = 4;
    pub(in super::super) const PUSH_PROMISE: u8 = 5;
    pub(in super::super) const PING: u8 = 6;
    pub(in super::super) const GOAWAY: u8 = 7;
    pub(in super::super) const WINDOW_UPDATE: u8 = 8;
}

/// Flags of frames.
pub(super) mod flag {
    pub(in super::super) const ACK: u8 = 1;
    pub(in super::super) const END_STREAM: u8 = 1;
    pub(in super::super) const END_HEADERS: u8 = 4;
    pub(in super::super) const PADDED: u8 = 8;
}

/// Settings that matter here.
pub(super) mod setting {
    pub(in super::super) const HEADER_TABLE_SIZE: u16 = 1;
    pub(in super::super) const ENABLE_PUSH: u16 = 2;
    pub(in super::super) const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub(in super::super) const INITIAL_WINDOW_SIZE: u16 = 4;
}

/// The error code of a stream that is not needed any more.
const CANCEL: u32 = 8;

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// The length of the payload.
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    /// The stream, or 0 for the connection.
    pub(super) stream: u32,
}

impl Header {
    /// Reads a header, if all of it is here.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let &[l0, l1, l2, kind, flags, s0, s1, s2, s3] = bytes.first_chunk::<HEADER>()?;
        Some(Self {
            length: u32::from_be_bytes([0, l0, l1, l2]) as usize,
            kind,
            flags,
            // The highest bit is reserved.
            stream: u32::from_be_bytes([s0, s1, s2, s3]) & MAX_31,
        })
    }

    /// Writes it.
    pub(super) fn put(self, out: &mut Vec<u8>) {
        let [_, l0, l1, l2] = (self.length as u32).to_be_bytes();
        let [s0, s1, s2, s3] = self.stream.to_be_bytes();
        out.extend_from_slice(&[l0, l1, l2, self.kind, self.flags, s0, s1, s2, s3]);
    }

    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Writes a whole frame.
pub(super) fn put(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    Header { length: payload.len(), kind, flags, stream }.put(out);
    out.extend_from_slice(payload);
}

/// Writes settings.
pub(super) fn put_settings(out: &mut Vec<u8>, settings: &[(u16, u32)]) {
    Header { length: settings.len() * 6, kind: kind::SETTINGS, flags: 0, stream: 0 }.put(out);
    for (id, value) in settings {
        out.extend_from_slice(&id.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// Lets the peer send so many bytes more.
pub(super) fn put_window_update(out: &mut Vec<u8>, stream: u32, increment: u32) {
    put(out, kind::WINDOW_UPDATE, 0, stream, &increment.to_be_bytes());
}

/// Gives a stream up.
pub(super) fn put_reset(out: &mut Vec<u8>, stream: u32) {
    put(out, kind::RST_STREAM, 0, stream, &CANCEL.to_be_bytes());
}

/// The settings in a payload.
pub(super) fn settings(payload: &[u8]) -> io::Result<impl Iterator<Item = (u16, u32)>> {
    let (settings, []) = payload.as_chunks::<6>() else {
        return Err(malformed("SETTINGS"));
    };
    Ok(settings.iter().map(|&[i0, i1, v0, v1, v2, v3]| {
        (u16::from_be_bytes([i0, i1]), u32::from_be_bytes([v0, v1, v2, v3]))
    }))
}

/// The four bytes of a payload from `at` on, as a number.
pub(super) fn number(payload: &[u8], at: usize) -> io::Result<u32> {
    let bytes = payload.get(at..).and_then(|rest| rest.first_chunk());
    bytes.map(|&bytes| u32::from_be_bytes(bytes)).ok_or_else(|| malformed("number"))
}

/// The data in the payload of a DATA frame, without padding.
pub(super) fn data(header: Header, payload: &[u8]) -> io::Result<&[u8]> {
    if !header.has(flag::PADDED) {
        return Ok(payload);
    }
    let (&padding, rest) = payload.split_first().ok_or_else(|| malformed("DATA"))?;
    let length = rest.len().checked_sub(padding.into()).ok_or_else(|| malformed("DATA"))?;
    Ok(&rest[..length])
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the server sent a malformed frame: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let header = Header { length: 0x1_2345, kind: kind::DATA, flags: 9, stream: 0x7fff_fffe };
        let mut out = Vec::new();
        header.put(&mut out);
        assert_eq!(out, [1, 0x23, 0x45, 0, 9, 0x7f, 0xff, 0xff, 0xfe]);
        assert_eq!(Header::read(&out), Some(header));
        out[5] |= 0x80;
        assert_eq!(Header::read(&out), Some(header), "the reserved bit is ignored");
        assert_eq!(Header::read(&out[..8]), None);
    }

    #[test]
    fn settings_are_read_as_they_were_written() {
        let mut out = Vec::new();
        put_settings(&mut out, &[(4, 1 << 24), (2, 0)]);
        assert_eq!(out[..HEADER], [0, 0, 12, 4, 0, 0, 0, 0, 0]);
        let read = settings(&out[HEADER..]).unwrap().collect::<Vec<_>>();
        assert_eq!(read, [(4, 1 << 24), (2, 0)]);
        assert!(settings(&out[HEADER + 1..]).is_err());
    }

    #[test]
    fn small_frames_are_as_the_standard_says() {
        let mut out = Vec::new();
        put_window_update(&mut out, 3, 0x102);
        put_reset(&mut out, 5);
        put(&mut out, kind::PING, flag::ACK, 0, b"12345678");
        let expected: [&[u8]; 3] = [
            &[0, 0, 4, 8, 0, 0, 0, 0, 3, 0, 0, 1, 2],
            &[0, 0, 4, 3, 0, 0, 0, 0, 5, 0, 0, 0, 8],
            b"\0\0\x08\x06\x01\0\0\0\x0012345678",
        ];
        assert_eq!(out, expected.concat());
        assert_eq!(number(&out[HEADER..], 0).unwrap(), 0x102);
        assert!(number(b"123", 0).is_err());
        assert!(number(b"1234", 8).is_err());
    }

    #[test]
    fn padding_is_cut_off() {
        let header = |flags| Header { length: 0, kind: kind::DATA, flags, stream: 1 };
        assert_eq!(data(header(0), b"\x01ab").unwrap(), b"\x01ab");
        assert_eq!(data(header(flag::PADDED), b"\x01ab").unwrap(), b"a");
        assert_eq!(data(header(flag::PADDED), b"\x02ab").unwrap(), b"");
        assert!(data(header(flag::PADDED), b"\x03ab").is_err());
        assert!(data(header(flag::PADDED), b"").is_err());
    }
}
