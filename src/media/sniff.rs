//! Types told by the first bytes, for the types that browsers may be given. Names and claimed
//! types count for nothing.

use std::fmt;

/// Bytes of an Ogg page that name the codec lie before this.
const OGG_HEAD: usize = 512;
/// The document type of an EBML file lies before this.
const EBML_HEAD: usize = 64;

/// How a type is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// As a picture.
    Picture,
    /// With a player that is heard.
    Audio,
    /// With a player that is seen.
    Video,
}

macro_rules! media_types {
    ($($name:ident $text:literal $extension:literal $kind:ident;)*) => {
        /// A type that pages show.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum MediaType {
            $(#[doc = $text] $name,)*
        }

        /// The usual endings of files of these types.
        pub const EXTENSIONS: &[&str] = &[$($extension),*];

        impl MediaType {
            /// As in `Content-Type`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The usual ending of a file's name, without the dot.
            pub fn extension(self) -> &'static str {
                match self { $(Self::$name => $extension,)* }
            }

            /// How it is shown.
            pub fn kind(self) -> MediaKind {
                match self { $(Self::$name => MediaKind::$kind,)* }
            }
        }
    };
}

media_types! {
    Jpeg "image/jpeg" "jpg" Picture;
    Png "image/png" "png" Picture;
    Gif "image/gif" "gif" Picture;
    WebP "image/webp" "webp" Picture;
    Avif "image/avif" "avif" Picture;
    Mp4 "video/mp4" "mp4" Video;
    WebM "video/webm" "webm" Video;
    OggVideo "video/ogg" "ogv" Video;
    Mp4Audio "audio/mp4" "m4a" Audio;
    WebMAudio "audio/webm" "weba" Audio;
    Mp3 "audio/mpeg" "mp3" Audio;
    Ogg "audio/ogg" "ogg" Audio;
    Flac "audio/flac" "flac" Audio;
    Wav "audio/wav" "wav" Audio;
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl MediaType {
    /// Whether this program decodes it without help.
    pub(super) fn is_decoded_here(self) -> bool {
        matches!(self, Self::Jpeg | Self::Png | Self::Gif | Self::WebP)
    }

    /// The only reader that ffmpeg may use for it: a file must not be taken for a playlist that
    /// names other files.
    pub(super) fn demuxer(self) -> &'static str {
        match self {
            Self::Mp4 | Self::Mp4Audio | Self::Avif => "mov",
            Self::WebM | Self::WebMAudio => "matroska",
            Self::Ogg | Self::OggVideo => "ogg",
            Self::Mp3 => "mp3",
            Self::Flac => "flac",
            Self::Wav => "wav",
            Self::Jpeg => "jpeg_pipe",
            Self::Png => "png_pipe",
            Self::Gif => "gif",
            Self::WebP => "webp_pipe",
        }
    }

    /// The type of the same container when nothing in it is seen.
    pub(super) fn heard_only(self) -> Self {
        match self {
            Self::Mp4 => Self::Mp4Audio,
            Self::WebM => Self::WebMAudio,
            Self::OggVideo => Self::Ogg,
            other => other,
        }
    }
}

/// Tells the type from the first bytes of a file (a few hundred are enough); `None` if it isn't
/// one that pages show.
pub fn sniff(head: &[u8]) -> Option<MediaType> {
    let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|h| h.starts_with(magic));
    let within = |end: usize, magic: &[u8]| {
        head[..head.len().min(end)]
            .windows(magic.len())
            .any(|window| window == magic)
    };
    if at(0, b"\xff\xd8\xff") {
        Some(MediaType::Jpeg)
    } else if at(0, b"\x89PNG\r\n\x1a\n") {
        Some(MediaType::Png)
    } else if at(0, b"GIF87a") || at(0, b"GIF89a") {
        Some(MediaType::Gif)
    } else if at(0, b"RIFF") && at(8, b"WEBP") {
        Some(MediaType::WebP)
    } else if at(0, b"RIFF") && at(8, b"WAVE") {
        Some(MediaType::Wav)
    } else if at(4, b"ftyp") {
        brand(head.get(8..12)?)
    } else if at(0, b"\x1a\x45\xdf\xa3") {
        within(EBML_HEAD, b"\x42\x82\x84webm").then_some(MediaType::WebM)
    } else if at(0, b"OggS") {
        Some(if within(OGG_HEAD, b"\x80theora") {
            MediaType::OggVideo
        } else {
            MediaType::Ogg
        })
    } else if at(0, b"fLaC") {
        Some(MediaType::Flac)
    } else if at(0, b"ID3") || is_mpeg_frame(head) {
        Some(MediaType::Mp3)
    } else {
        None
    }
}

/// The major brand of an ISO base media file (ISO/IEC 14496-12; brands at mp4ra.org).
fn brand(brand: &[u8]) -> Option<MediaType> {
    match brand {
        b"avif" | b"avis" => Some(MediaType::Avif),
        b"M4A " | b"M4B " => Some(MediaType::Mp4Audio),
        b"isom" | b"iso2" | b"iso3" | b"iso4" | b"iso5" | b"iso6" | b"mp41" | b"mp42" | b"avc1"
        | b"av01" | b"dash" | b"M4V " | b"MSNV" | b"mmp4" => Some(MediaType::Mp4),
        _ => None,
    }
}

/// The header of an MPEG audio frame, layer III (ISO/IEC 11172-3): sync, version, layer, and a bit
/// rate and sampling rate that exist.
fn is_mpeg_frame(head: &[u8]) -> bool {
    let &[0xff, second, third, ..] = head else {
        return false;
    };
    let version = (second >> 3) & 3;
    let layer = (second >> 1) & 3;
    second & 0xe0 == 0xe0
        && version != 1
        && layer == 1
        && third >> 4 != 0xf
        && third >> 4 != 0
        && (third >> 2) & 3 != 3
}
