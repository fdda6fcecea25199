//! The bytes of a cache: pure, and suspicious of what they read.
//!
//! A header of magic, version, checksum and length, and a payload: whose cache it is, when it was written, and an
//! [`Image`]. Numbers are little-endian; texts and bytes have their length before them. An instance is in it as the
//! registry's own codec writes it, so that a secret stays the reference that it is in the store.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use xxhash_rust::xxh64::xxh64;

use crate::registry::shared::catalog::{Image, Key, ServiceImage};

pub(super) const MAGIC: &[u8; 8] = b"lb-cache";
pub(super) const VERSION: u32 = 1;
/// Magic, version, checksum, length.
pub(super) const HEADER: usize = 8 + 4 + 8 + 8;

/// One key of a service, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) key: Key,
    pub(super) revision: u64,
    pub(super) bytes: Vec<u8>,
}

/// What a cache holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) owner: String,
    pub(super) written: SystemTime,
    pub(super) image: Image<Item>,
}

/// Why bytes are not a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    Foreign,
    Version(u32),
    Damaged(&'static str),
}

/// What a header says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    checksum: u64,
    length: u64,
}

impl Header {
    /// Reads a header. A file that is too short to have one, but begins like one, is damaged, and not foreign.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Bad> {
        let magic = bytes.len().min(MAGIC.len());
        if bytes[..magic] != MAGIC[..magic] {
            return Err(Bad::Foreign);
        }
        let mut reader = Reader(bytes.get(MAGIC.len()..).unwrap_or_default());
        let version = reader.u32()?;
        if version > VERSION {
            return Err(Bad::Version(version));
        }
        Ok(Self { checksum: reader.u64()?, length: reader.u64()? })
    }

    /// Whether a file of that many bytes is complete.
    pub(super) fn check_length(self, bytes: u64) -> Result<(), Bad> {
        if bytes == (HEADER as u64).saturating_add(self.length) {
            Ok(())
        } else {
            Err(Bad::Damaged("its length is not what its header says"))
        }
    }
}

/// The bytes of a cache.
pub(super) fn encode(content: &Content) -> Vec<u8> {
    let mut writer = Writer(vec![0; HEADER]);
    writer.bytes(content.owner.as_bytes());
    let written = content.written.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    writer.u64(u64::try_from(written).unwrap_or(u64::MAX));
    let Image { offset, revision, epoch, services, .. } = &content.image;
    writer.place(*offset, *revision, epoch.as_ref());
    writer.u64(services.len() as u64);
    for service in services {
        writer.bytes(service.name.as_bytes());
        writer.place(service.offset, service.revision, service.epoch.as_ref());
        writer.u64(service.items.len() as u64);
        for item in &service.items {
            let (kind, id): (u8, &str) = match &item.key {
                Key::Instance(id) => (0, id),
                Key::Config => (1, ""),
                Key::Override(id) => (2, id),
            };
            writer.0.push(kind);
            writer.bytes(id.as_bytes());
            writer.u64(item.revision);
            writer.bytes(&item.bytes);
        }
    }
    let mut bytes = writer.0;
    let length = (bytes.len() - HEADER) as u64;
    let checksum = xxh64(&bytes[HEADER..], 0);
    let mut header = Writer(Vec::with_capacity(HEADER));
    header.0.extend_from_slice(MAGIC);
    header.0.extend_from_slice(&VERSION.to_le_bytes());
    header.u64(checksum);
    header.u64(length);
    bytes[..HEADER].copy_from_slice(&header.0);
    bytes
}

/// What the bytes of a cache hold. Never panics, whatever they are, and allocates no more than they warrant.
pub(super) fn decode(bytes: &[u8]) -> Result<Content, Bad> {
    let header = Header::read(bytes)?;
    header.check_length(bytes.len() as u64)?;
    let payload = bytes.get(HEADER..).unwrap_or_default();
    if xxh64(payload, 0) != header.checksum {
        return Err(Bad::Damaged("its checksum does not match"));
    }
    let mut reader = Reader(payload);
    let owner = reader.text()?.to_owned();
    let written = UNIX_EPOCH
        .checked_add(Duration::from_millis(reader.u64()?))
        .ok_or(Bad::Damaged("it was written at an impossible time"))?;
    let (offset, revision, epoch) = reader.place()?;
    let mut image = Image::new(offset, revision, epoch);
    for _ in 0..reader.u64()? {
        let name = Arc::from(reader.text()?);
        let (offset, revision, epoch) = reader.place()?;
        let mut service = ServiceImage::new(name, offset, revision, epoch, Vec::new());
        for _ in 0..reader.u64()? {
            let (kind, id) = (reader.u8()?, reader.text()?);
            let key = match kind {
                0 => Key::Instance(Arc::from(id)),
                1 => Key::Config,
                2 => Key::Override(Arc::from(id)),
                _ => return Err(Bad::Damaged("it has a key of an unknown kind")),
            };
            let revision = reader.u64()?;
            service.items.push(Item { key, revision, bytes: reader.bytes()?.to_vec() });
        }
        image.services.push(service);
    }
    if reader.0.is_empty() {
        Ok(Content { owner, written, image })
    } else {
        Err(Bad::Damaged("it has a tail"))
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn u64(&mut self, n: u64) {
        self.0.extend_from_slice(&n.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.u64(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn place(&mut self, offset: u64, revision: u64, epoch: Option<&Arc<str>>) {
        self.u64(offset);
        self.u64(revision);
        self.0.push(u8::from(epoch.is_some()));
        self.bytes(epoch.map_or(b"", |epoch| epoch.as_bytes()));
    }
}

struct Reader<'a>(&'a [u8]);

const SHORT: Bad = Bad::Damaged("it ends too early");

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], Bad> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or(SHORT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Bad> {
        self.take(N)?.try_into().map_err(|_| SHORT)
    }

    fn u8(&mut self) -> Result<u8, Bad> {
        Ok(self.array::<1>()?[0])
    }

    fn u32(&mut self) -> Result<u32, Bad> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Bad> {
        self.array().map(u64::from_le_bytes)
    }

    fn bytes(&mut self) -> Result<&'a [u8], Bad> {
        let length = usize::try_from(self.u64()?).map_err(|_| SHORT)?;
        self.take(length)
    }

    fn text(&mut self) -> Result<&'a str, Bad> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Bad::Damaged("a name in it is not UTF-8"))
    }

    fn place(&mut self) -> Result<(u64, u64, Option<Arc<str>>), Bad> {
        let (offset, revision) = (self.u64()?, self.u64()?);
        let (there, epoch) = (self.u8()?, self.text()?);
        Ok((offset, revision, (there != 0).then(|| Arc::from(epoch))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn item() -> impl Strategy<Value = Item> {
        let key = prop_oneof![
            ".{0,9}".prop_map(|id| Key::Instance(id.into())),
            Just(Key::Config),
            ".{0,9}".prop_map(|id| Key::Override(id.into())),
        ];
        (key, any::<u64>(), prop::collection::vec(any::<u8>(), 0..20))
            .prop_map(|(key, revision, bytes)| Item { key, revision, bytes })
    }

    fn place() -> impl Strategy<Value = (u64, u64, Option<Arc<str>>)> {
        (any::<u64>(), any::<u64>(), prop::option::of(".{0,5}".prop_map(Arc::from)))
    }

    fn content() -> impl Strategy<Value = Content> {
        let service = (".{0,9}", place(), prop::collection::vec(item(), 0..4)).prop_map(
            |(name, (offset, revision, epoch), items)| {
                ServiceImage::new(name.into(), offset, revision, epoch, items)
            },
        );
        (".{0,9}", 0_u64..1 << 40, place(), prop::collection::vec(service, 0..4)).prop_map(
            |(owner, millis, (offset, revision, epoch), services)| {
                let mut image = Image::new(offset, revision, epoch);
                image.services = services;
                Content { owner, written: UNIX_EPOCH + Duration::from_millis(millis), image }
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(content in content()) {
            prop_assert_eq!(decode(&encode(&content)), Ok(content));
        }

        #[test]
        fn no_part_of_it_is_taken_for_the_whole(content in content()) {
            let bytes = encode(&content);
            for length in 0..bytes.len() {
                prop_assert!(matches!(decode(&bytes[..length]), Err(Bad::Damaged(_))), "{length} bytes");
            }
            let longer = [&bytes[..], b"x"].concat();
            prop_assert!(matches!(decode(&longer), Err(Bad::Damaged(_))));
        }

        #[test]
        fn no_flipped_bit_is_overlooked(content in content(), at in any::<prop::sample::Index>(), bit in 0..8) {
            let mut bytes = encode(&content);
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            prop_assert!(decode(&bytes).is_err());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), forge in any::<bool>()) {
            // With a good header before them, so that the payload is looked at.
            let mut file = bytes.clone();
            if forge {
                file = [&MAGIC[..], &VERSION.to_le_bytes(), &xxh64(&bytes, 0).to_le_bytes(),
                        &(bytes.len() as u64).to_le_bytes(), &bytes].concat();
            }
            let _ = decode(&file);
        }
    }
}
