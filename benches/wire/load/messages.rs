//! gRPC messages: a byte that says whether it is compressed, four with its length, then the message.

/// The length of what stands before each message.
const PREFIX: usize = 5;

/// Puts the prefix of an uncompressed message before it.
///
/// # Panics
/// If the message has 4 GiB or more.
#[must_use]
pub fn grpc_frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a message has less than 4 GiB");
    [[0].as_slice(), &length.to_be_bytes(), message].concat()
}

/// Whether this is exactly one uncompressed message with its prefix.
pub(super) fn is_one_message(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0) && whole(bytes) == Some(bytes.len())
}

/// Puts messages together that came in pieces.
#[derive(Default)]
pub(super) struct Messages {
    /// The begin of a message whose end is to come.
    partial: Vec<u8>,
}

impl Messages {
    /// Takes what came, and hands on each message that is complete now, without its prefix; none instead of
    /// one that is compressed.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut take: impl FnMut(Option<&[u8]>)) {
        while !self.partial.is_empty() && !bytes.is_empty() {
            // First the prefix, which tells how much more there is.
            let wanted = length_with_prefix(&self.partial).unwrap_or(PREFIX);
            let (piece, rest) = bytes.split_at(bytes.len().min(wanted - self.partial.len()));
            self.partial.extend_from_slice(piece);
            bytes = rest;
            if whole(&self.partial).is_some() {
                take(content(&self.partial));
                self.partial.clear();
            }
        }
        while let Some(length) = whole(bytes) {
            let (message, rest) = bytes.split_at(length);
            take(content(message));
            bytes = rest;
        }
        self.partial.extend_from_slice(bytes);
    }

    /// Whether no message has begun that has not ended.
    pub(super) fn is_empty(&self) -> bool {
        self.partial.is_empty()
    }

    /// Forgets the begin of a message.
    pub(super) fn clear(&mut self) {
        self.partial.clear();
    }
}

/// How long the message is that begins here, with its prefix.
fn length_with_prefix(bytes: &[u8]) -> Option<usize> {
    let (prefix, _) = bytes.split_first_chunk::<PREFIX>()?;
    let [_, length @ ..] = *prefix;
    Some(PREFIX + u32::from_be_bytes(length) as usize)
}

/// The same, if all of it is here.
fn whole(bytes: &[u8]) -> Option<usize> {
    length_with_prefix(bytes).filter(|&length| length <= bytes.len())
}

fn content(message: &[u8]) -> Option<&[u8]> {
    (message[0] == 0).then_some(&message[PREFIX..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_one_message() {
        assert_eq!(grpc_frame(b"ab"), [0, 0, 0, 0, 2, b'a', b'b']);
        assert!(is_one_message(&grpc_frame(b"")));
        assert!(is_one_message(&grpc_frame(b"ab")));
        assert!(!is_one_message(b""));
        assert!(!is_one_message(&[0, 0, 0, 0, 2, b'a']));
        assert!(!is_one_message(&[0, 0, 0, 0, 0, b'a']));
        assert!(!is_one_message(&[1, 0, 0, 0, 0]));
    }

    #[test]
    fn puts_together_pieces_of_any_size() {
        let sent: Vec<Vec<u8>> = (0..20_u8).map(|n| vec![n; usize::from(n) * 7 % 13]).collect();
        let wire = sent.iter().flat_map(|message| grpc_frame(message)).collect::<Vec<_>>();
        for size in 1..=wire.len() {
            let (mut messages, mut got) = (Messages::default(), Vec::new());
            for piece in wire.chunks(size) {
                messages.feed(piece, |message| got.push(message.unwrap().to_vec()));
            }
            assert_eq!(got, sent, "in pieces of {size}");
            assert!(messages.is_empty());
        }
    }

    #[test]
    fn a_compressed_one_has_no_content() {
        let mut got = Vec::new();
        let mut messages = Messages::default();
        messages.feed(&[1, 0, 0, 0, 1, 9, 0, 0], |message| got.push(message.is_some()));
        assert_eq!(got, [false]);
        assert!(!messages.is_empty());
        messages.clear();
        assert!(messages.is_empty());
    }
}
