//! Which media type a blob is served with: by its first bytes, from a list of harmless ones.
//!
//! What an author claims is never served. Anything not on the list is an opaque download.

/// Bytes from the start of a blob that decide its type.
pub const HEAD_BYTES: u64 = 512;

/// Type of everything that isn't on the list.
pub const OPAQUE: &str = "application/octet-stream";

const EBML: &[u8] = &[0x1a, 0x45, 0xdf, 0xa3];
const EBML_DOC_TYPE: &[u8] = &[0x42, 0x82];
const UTF8_MARK: &[u8] = &[0xef, 0xbb, 0xbf];
/// ISO base media brands whose files browsers play as MP4 (ISO/IEC 14496-12, 3GPP, QuickTime).
const MP4_BRANDS: [&[u8; 4]; 15] = [
    b"isom", b"iso2", b"iso3", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"dash",
    b"M4V ", b"MSNV", b"3gp4", b"3gp5", b"qt  ",
];

/// The type of a blob that begins with these bytes.
pub fn sniff(head: &[u8]) -> &'static str {
    by_signature(head)
        .or_else(|| by_container(head))
        .unwrap_or(OPAQUE)
}

/// True if a browser may show or play it in place.
pub fn is_inline(media_type: &str) -> bool {
    media_type != OPAQUE
}

fn by_signature(head: &[u8]) -> Option<&'static str> {
    let signatures: [(&[u8], &str); 6] = [
        (&[0xff, 0xd8, 0xff], "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"ID3", "audio/mpeg"),
        (b"fLaC", "audio/flac"),
    ];
    signatures
        .iter()
        .find(|(magic, _)| head.starts_with(magic))
        .map(|(_, name)| *name)
}

fn by_container(head: &[u8]) -> Option<&'static str> {
    match head {
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some("image/webp"),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'A',
            b'V',
            b'E',
            ..,
        ] => Some("audio/wav"),
        [b'O', b'g', b'g', b'S', ..] => ogg(head),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => iso_media(head),
        _ if head.starts_with(EBML) => webm(head),
        _ if is_web_vtt(head) => Some("text/vtt"),
        _ if is_mpeg_audio(head) => Some("audio/mpeg"),
        _ => None,
    }
}

fn ogg(head: &[u8]) -> Option<&'static str> {
    if contains(head, b"\x80theora") {
        return Some("video/ogg");
    }
    let audio: [&[u8]; 4] = [b"OpusHead", b"\x01vorbis", b"\x7fFLAC", b"Speex   "];
    audio
        .iter()
        .any(|codec| contains(head, codec))
        .then_some("audio/ogg")
}

fn iso_media(head: &[u8]) -> Option<&'static str> {
    let box_bytes = usize::try_from(u32::from_be_bytes(head.get(..4)?.try_into().ok()?)).ok()?;
    let brands = head.get(8..box_bytes.min(head.len()))?;
    let mut brands = brands.chunks_exact(4);
    let major = brands.next()?;
    let compatible = || brands.clone().skip(1);
    match major {
        b"avif" | b"avis" => Some("image/avif"),
        b"M4A " | b"M4B " => Some("audio/mp4"),
        _ if is_mp4_brand(major) => Some("video/mp4"),
        b"heic" | b"heix" | b"hevc" | b"hevx" => None,
        _ if compatible().any(|brand| brand == b"avif") => Some("image/avif"),
        b"mif1" | b"msf1" => None,
        _ if compatible().any(is_mp4_brand) => Some("video/mp4"),
        _ => None,
    }
}

fn is_mp4_brand(brand: &[u8]) -> bool {
    MP4_BRANDS.iter().any(|known| brand == *known)
}

fn webm(head: &[u8]) -> Option<&'static str> {
    let at = head.windows(2).position(|pair| pair == EBML_DOC_TYPE)?;
    let length = usize::from(*head.get(at + 2)?) & 0x7f;
    let doc_type = head.get(at + 3..at + 3 + length)?;
    (doc_type == b"webm").then_some("video/webm")
}

/// "WEBVTT", then the end of the file, a space, a tab or the end of the line (WebVTT §4.1).
fn is_web_vtt(head: &[u8]) -> bool {
    let head = head.strip_prefix(UTF8_MARK).unwrap_or(head);
    match head.strip_prefix(b"WEBVTT") {
        Some(rest) => matches!(rest.first(), None | Some(b' ' | b'\t' | b'\n' | b'\r')),
        None => false,
    }
}

/// A frame header of MPEG audio layer III: sync, layer, bitrate and sampling rate all possible.
fn is_mpeg_audio(head: &[u8]) -> bool {
    let [0xff, second, third, _, ..] = head else {
        return false;
    };
    let layer_three = second & 0xe6 == 0xe2;
    let version_known = second & 0x18 != 0x08;
    let rates_known = third & 0xf0 != 0xf0 && third & 0xf0 != 0 && third & 0x0c != 0x0c;
    layer_three && version_known && rates_known
}

fn contains(head: &[u8], needle: &[u8]) -> bool {
    head.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ftyp(major: &[u8; 4], compatible: &[&[u8; 4]]) -> Vec<u8> {
        let size = u32::try_from(16 + 4 * compatible.len()).expect("small");
        let mut head = size.to_be_bytes().to_vec();
        head.extend(b"ftyp");
        head.extend(major);
        head.extend([0, 0, 2, 0]);
        for brand in compatible {
            head.extend(*brand);
        }
        head.extend(b"\0\0\0\x08free");
        head
    }

    fn ebml(doc_type: &str) -> Vec<u8> {
        let mut head = vec![
            0x1a, 0x45, 0xdf, 0xa3, 0x9f, 0x42, 0x86, 0x81, 1, 0x42, 0x82,
        ];
        head.push(0x80 | u8::try_from(doc_type.len()).expect("short"));
        head.extend(doc_type.as_bytes());
        head
    }

    #[test]
    fn the_allow_list_is_told_by_the_first_bytes() {
        let ogg = |codec: &[u8]| [b"OggS\0\x02".as_slice(), &[0; 22], codec].concat();
        let table: Vec<(&str, Vec<u8>)> = vec![
            ("image/jpeg", vec![0xff, 0xd8, 0xff, 0xe0, 0, 16]),
            ("image/png", b"\x89PNG\r\n\x1a\n\0\0".to_vec()),
            ("image/gif", b"GIF89a\x01\0".to_vec()),
            ("image/webp", b"RIFF\x10\0\0\0WEBPVP8 ".to_vec()),
            ("image/avif", ftyp(b"avif", &[b"mif1", b"miaf"])),
            ("image/avif", ftyp(b"mif1", &[b"mif1", b"avif"])),
            ("video/mp4", ftyp(b"isom", &[b"isom", b"avc1"])),
            ("video/mp4", ftyp(b"qt  ", &[])),
            ("video/mp4", ftyp(b"XAVC", &[b"mp42"])),
            ("audio/mp4", ftyp(b"M4A ", &[b"isom"])),
            ("video/webm", ebml("webm")),
            ("audio/mpeg", b"ID3\x04\0\0".to_vec()),
            ("audio/mpeg", vec![0xff, 0xfb, 0x90, 0x64]),
            ("audio/ogg", ogg(b"OpusHead\x01")),
            ("audio/ogg", ogg(b"\x01vorbis")),
            ("video/ogg", ogg(b"\x80theora")),
            ("audio/flac", b"fLaC\0\0\0\x22".to_vec()),
            ("audio/wav", b"RIFF\x24\0\0\0WAVEfmt ".to_vec()),
            ("text/vtt", b"WEBVTT\n\n00:00".to_vec()),
            ("text/vtt", b"\xef\xbb\xbfWEBVTT - captions".to_vec()),
        ];
        for (expected, head) in table {
            assert_eq!(
                sniff(&head),
                expected,
                "{:?}",
                String::from_utf8_lossy(&head)
            );
        }
    }

    #[test]
    fn everything_else_is_an_opaque_download() {
        let table: Vec<Vec<u8>> = vec![
            Vec::new(),
            b"<html><script>alert(1)</script>".to_vec(),
            b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(),
            b"%PDF-1.7".to_vec(),
            b"WEBVTTX".to_vec(),
            b"plain text".to_vec(),
            ebml("matroska"),
            ftyp(b"heic", &[b"mif1", b"heic"]),
            ftyp(b"xxxx", &[]),
            b"RIFF\0\0\0\0AVI LIST".to_vec(),
            [b"OggS\0\x02".as_slice(), &[0; 30]].concat(),
            vec![0xff, 0xff, 0xff, 0xff],
            vec![0xff, 0xf1, 0x50, 0x80],
            vec![0x1a, 0x45, 0xdf, 0xa3],
            b"\0\0\0\x04ftyp".to_vec(),
        ];
        for head in table {
            assert_eq!(sniff(&head), OPAQUE, "{:?}", String::from_utf8_lossy(&head));
        }
    }
}
