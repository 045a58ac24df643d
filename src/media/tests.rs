#![allow(clippy::unwrap_used)]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use blocks::BlobSource;
use image::{DynamicImage, ImageFormat, RgbImage, Rgba, RgbaImage};

use super::*;

fn config() -> config::Media {
    config::Media {
        ffmpeg: None,
        ffprobe: None,
        timeout_s: 20,
        children: 2,
        thumb_pixels: 480,
    }
}

async fn look(path: &Path) -> MediaInfo {
    let size_bytes = path.metadata().unwrap().len();
    let path = path.to_owned();
    inspect(&BlobSource::File { path, size_bytes }, &config()).await
}

async fn look_at_bytes(bytes: impl Into<Bytes>) -> MediaInfo {
    inspect(&BlobSource::Bytes(bytes.into()), &config()).await
}

/// Runs ffmpeg to make a file; none when it isn't installed.
fn make(dir: &Path, name: &str, arguments: &str) -> Option<PathBuf> {
    let path = dir.join(name);
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y"])
        .args(arguments.split_whitespace())
        .arg(&path)
        .status();
    match made {
        Ok(status) => assert!(status.success(), "{name}"),
        Err(error) => {
            eprintln!("SKIPPED: ffmpeg can't be run here: {error}");
            return None;
        }
    }
    Some(path)
}

fn size_of_thumb(info: &MediaInfo) -> (u32, u32) {
    let thumb = info.thumb.as_ref().expect("a thumbnail");
    assert_eq!(sniff(thumb), Some(MediaType::Jpeg));
    let picture = image::load_from_memory(thumb).unwrap();
    (picture.width(), picture.height())
}

const VIDEO: &str = "-f lavfi -i testsrc2=size=640x360:rate=10:duration=2";
const SOUND: &str = "-f lavfi -i sine=frequency=440:duration=3";

#[tokio::test]
async fn videos_have_size_duration_and_a_thumbnail() {
    let dir = tempfile::tempdir().unwrap();
    let webm = format!("{VIDEO} {SOUND} -c:v libvpx-vp9 -deadline realtime -c:a libopus -shortest");
    let mp4 = format!("{VIDEO} {SOUND} -c:v libx264 -preset ultrafast -c:a aac -shortest");
    let files = [
        ("a.webm", webm.as_str(), "video/webm"),
        // Its moov atom comes last, as ffmpeg writes it unless asked.
        ("a.mp4", mp4.as_str(), "video/mp4"),
    ];
    for (name, arguments, media_type) in files {
        let Some(path) = make(dir.path(), name, arguments) else {
            return;
        };
        let info = look(&path).await;
        assert_eq!(info.notes, Vec::<String>::new(), "{name}");
        assert_eq!(info.media_type, media_type);
        assert_eq!((info.width, info.height), (Some(640), Some(360)));
        let duration_ms = info.duration_ms.unwrap();
        assert!(
            (1_900..=2_200).contains(&duration_ms),
            "{name}: {duration_ms}"
        );
        assert_eq!(size_of_thumb(&info), (480, 270));
        // The same from memory, as small blobs are.
        assert_eq!(look_at_bytes(std::fs::read(&path).unwrap()).await, info);
    }
}

#[tokio::test]
async fn a_turned_video_is_measured_as_it_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let upright = format!("{VIDEO} -c:v libx264 -preset ultrafast");
    let Some(path) = make(dir.path(), "upright.mp4", &upright) else {
        return;
    };
    let turn = format!("-i {} -c copy -metadata:s:v:0 rotate=90", path.display());
    let path = make(dir.path(), "turned.mp4", &turn).unwrap();
    let info = look(&path).await;
    assert_eq!(
        (info.width, info.height),
        (Some(360), Some(640)),
        "{info:?}"
    );
    assert_eq!(size_of_thumb(&info), (270, 480));
}

#[tokio::test]
async fn audio_has_a_duration_and_its_type_says_that_nothing_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let files = [
        ("a.flac", "-c:a flac", "audio/flac"),
        ("a.mp3", "-c:a libmp3lame", "audio/mpeg"),
        ("a.opus", "-c:a libopus", "audio/ogg"),
        ("a.wav", "", "audio/wav"),
        ("a.m4a", "-c:a aac", "audio/mp4"),
        ("a.mp4", "-c:a aac", "audio/mp4"),
        ("b.webm", "-c:a libopus", "audio/webm"),
    ];
    for (name, codec, media_type) in files {
        let Some(path) = make(dir.path(), name, &format!("{SOUND} {codec}")) else {
            return;
        };
        let info = look(&path).await;
        assert_eq!(info.media_type, media_type, "{name}");
        let duration_ms = info.duration_ms.unwrap();
        assert!(
            (2_900..=3_200).contains(&duration_ms),
            "{name}: {duration_ms}"
        );
        assert_eq!((info.width, &info.thumb), (None, &None));
        assert_eq!(info.notes, Vec::<String>::new(), "{name}");
    }
}

#[tokio::test]
async fn a_cover_is_the_thumbnail_of_audio() {
    let dir = tempfile::tempdir().unwrap();
    let cover = "-f lavfi -i color=red:size=600x600:duration=1 -map 0:a -map 1:v -frames:v 1 \
                 -c:v mjpeg -c:a flac -disposition:v attached_pic";
    let Some(path) = make(dir.path(), "cover.flac", &format!("{SOUND} {cover}")) else {
        return;
    };
    let info = look(&path).await;
    assert_eq!(info.media_type, "audio/flac");
    assert_eq!((info.width, info.height), (None, None));
    assert_eq!(size_of_thumb(&info), (480, 480));
}

#[tokio::test]
async fn truncated_and_garbled_media_only_make_notes() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = format!("{VIDEO} -c:v libx264 -preset ultrafast");
    let Some(path) = make(dir.path(), "whole.mp4", &arguments) else {
        return;
    };
    let whole = std::fs::read(path).unwrap();
    // The moov atom at the end is gone.
    let info = look_at_bytes(whole[..whole.len() / 2].to_vec()).await;
    assert_eq!(info.media_type, "video/mp4");
    assert_eq!((&info.thumb, info.duration_ms), (&None, None));
    assert!(info.notes[0].contains("ffprobe"), "{:?}", info.notes);
    let mut garbled = whole.clone();
    for byte in garbled.iter_mut().skip(60).step_by(7) {
        *byte = byte.wrapping_mul(31);
    }
    let info = look_at_bytes(garbled).await;
    assert!(!info.notes.is_empty());
    for head in [
        &b"\x1a\x45\xdf\xa3\x42\x82\x84webm"[..],
        b"OggS",
        b"fLaC",
        b"ID3",
    ] {
        let info = look_at_bytes([head, &[0x55; 5000]].concat()).await;
        assert!(!info.notes.is_empty(), "{head:?}");
    }
}

#[tokio::test]
async fn a_file_is_never_taken_for_a_list_of_other_files() {
    let playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n";
    let info = look_at_bytes(playlist).await;
    assert_eq!(info.media_type, OTHER_TYPE);
    assert_eq!(info.notes.len(), 1);
    let disguised = [b"OggS".as_slice(), playlist.as_bytes()].concat();
    let info = look_at_bytes(disguised).await;
    assert!(info.thumb.is_none() && info.duration_ms.is_none());
}

#[tokio::test]
async fn without_ffmpeg_the_note_says_how_to_get_it() {
    let none = config::Media {
        ffprobe: Some("/nonexistent/ffprobe".into()),
        ..config()
    };
    let bytes = Bytes::from_static(b"fLaC and so on");
    let info = inspect(&BlobSource::Bytes(bytes), &none).await;
    assert!(
        info.notes[0].contains("apt-get install ffmpeg"),
        "{:?}",
        info.notes
    );
    assert_eq!(info.media_type, "audio/flac");
}

#[tokio::test]
async fn a_child_that_hangs_or_talks_too_much_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let script = |name: &str, text: &str| {
        use std::os::unix::fs::PermissionsExt;
        let path = dir.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    let tools = [
        (script("hangs", "exec sleep 1000"), "took more than"),
        (script("talks", "exec yes"), "gave more than"),
        (script("fails", "echo broken >&2; exit 3"), "broken"),
        (script("nonsense", "echo '{'"), "ffprobe"),
    ];
    for (ffprobe, note) in tools {
        let tools = config::Media {
            ffprobe: Some(ffprobe),
            timeout_s: 1,
            ..config()
        };
        let bytes = Bytes::from_static(b"fLaC and so on");
        let info = inspect(&BlobSource::Bytes(bytes), &tools).await;
        assert!(info.notes[0].contains(note), "{:?}", info.notes);
    }
}

fn encoded(picture: DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn gradient(width: u32, height: u32) -> DynamicImage {
    let shade = |at: u32, of: u32| u8::try_from(at * 255 / of).unwrap();
    RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([shade(x, width), shade(y, height), 0])
    })
    .into()
}

#[tokio::test]
async fn pictures_of_every_kind_get_a_thumbnail() {
    let formats = [
        (ImageFormat::Jpeg, "image/jpeg"),
        (ImageFormat::Png, "image/png"),
        (ImageFormat::Gif, "image/gif"),
        (ImageFormat::WebP, "image/webp"),
    ];
    for (format, media_type) in formats {
        let info = look_at_bytes(encoded(gradient(960, 600), format)).await;
        assert_eq!(info.media_type, media_type);
        assert_eq!((info.width, info.height), (Some(960), Some(600)));
        assert_eq!(size_of_thumb(&info), (480, 300));
        assert!(info.notes.is_empty() && info.duration_ms.is_none());
    }
    let small = look_at_bytes(encoded(gradient(20, 10), ImageFormat::Png)).await;
    assert_eq!(size_of_thumb(&small), (20, 10), "nothing is blown up");
}

#[tokio::test]
async fn what_is_transparent_becomes_white() {
    let clear = RgbaImage::from_pixel(50, 50, Rgba([0, 0, 0, 0]));
    let info = look_at_bytes(encoded(clear.into(), ImageFormat::Png)).await;
    let thumb = image::load_from_memory(&info.thumb.unwrap())
        .unwrap()
        .into_rgb8();
    assert!(
        thumb
            .get_pixel(25, 25)
            .0
            .iter()
            .all(|channel| *channel > 250)
    );
}

/// A JPEG with an EXIF block that says how to turn it (EXIF 2.32, tag 0x0112).
fn turned_jpeg(orientation: u8) -> Vec<u8> {
    let jpeg = encoded(gradient(400, 200), ImageFormat::Jpeg);
    let tiff = [
        b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".as_slice(),
        &[orientation, 0, 0, 0, 0, 0, 0],
    ]
    .concat();
    let length = u16::try_from(tiff.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], b"\xff\xe1", &length, &tiff, &jpeg[2..]].concat()
}

#[tokio::test]
async fn a_photo_is_shown_the_way_the_camera_was_held() {
    let info = look_at_bytes(turned_jpeg(6)).await;
    assert_eq!((info.width, info.height), (Some(200), Some(400)));
    assert_eq!(size_of_thumb(&info), (200, 400));
    let thumb = image::load_from_memory(&info.thumb.unwrap())
        .unwrap()
        .into_rgb8();
    // Turned clockwise, what was at the left (no red) is at the top.
    assert!(thumb.get_pixel(100, 5).0[0] < 40 && thumb.get_pixel(100, 395).0[0] > 200);
}

/// A PNG that claims a size and has next to no data.
fn png_bomb(width: u32, height: u32) -> Vec<u8> {
    let mut png = encoded(gradient(8, 8), ImageFormat::Png);
    png[16..20].copy_from_slice(&width.to_be_bytes());
    png[20..24].copy_from_slice(&height.to_be_bytes());
    let mut sum = !0u32;
    for byte in &png[12..29] {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(sum & 1));
        }
    }
    png[29..33].copy_from_slice(&(!sum).to_be_bytes());
    png
}

#[tokio::test]
async fn bombs_and_broken_pictures_are_not_decoded() {
    let bomb = look_at_bytes(png_bomb(60_000, 60_000)).await;
    assert!(bomb.thumb.is_none());
    assert!(bomb.notes[0].contains("too many"), "{:?}", bomb.notes);
    let hollow = look_at_bytes(png_bomb(6_000, 6_000)).await;
    assert!(
        hollow.thumb.is_none() && hollow.notes[0].contains("damaged"),
        "{hollow:?}"
    );
    for format in [
        ImageFormat::Jpeg,
        ImageFormat::Png,
        ImageFormat::Gif,
        ImageFormat::WebP,
    ] {
        let whole = encoded(gradient(300, 300), format);
        for length in [12, 40, whole.len() / 2] {
            let info = look_at_bytes(whole[..length].to_vec()).await;
            // A JPEG that ends early may still show its upper part.
            assert!(
                info.thumb.is_some() || !info.notes.is_empty(),
                "{format:?} {length}"
            );
        }
    }
}

#[test]
fn types_are_told_by_the_first_bytes_only() {
    let cases: [(&[u8], Option<MediaType>); 16] = [
        (b"", None),
        (b"\xff\xd8\xff\xe0", Some(MediaType::Jpeg)),
        (b"RIFF....WEBPVP8 ", Some(MediaType::WebP)),
        (b"RIFF....WAVEfmt ", Some(MediaType::Wav)),
        (b"RIFF....AVI LIST", None),
        (b"\0\0\0\x20ftypisom", Some(MediaType::Mp4)),
        (b"\0\0\0\x20ftypM4A ", Some(MediaType::Mp4Audio)),
        (b"\0\0\0\x20ftypavif", Some(MediaType::Avif)),
        (b"\0\0\0\x14ftypqt  ", None),
        (
            b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm",
            Some(MediaType::WebM),
        ),
        (b"\x1a\x45\xdf\xa3\xa3\x42\x82\x88matroska", None),
        (b"\xff\xfb\x90\x64", Some(MediaType::Mp3)),
        (b"\xff\xfb\xf0\x64", None),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", None),
        (b"<!doctype html><script>", None),
        (b"%PDF-1.7", None),
    ];
    for (head, expected) in cases {
        assert_eq!(sniff(head), expected, "{head:?}");
    }
}
