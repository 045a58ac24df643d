//! Pictures, decoded in this process within bounds of size and memory.

use std::{
    fs::File,
    io::{BufReader, Cursor},
};

use image::{
    DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage,
    codecs::jpeg::JpegEncoder, metadata::Orientation,
};

use super::{MediaInfo, MediaType, THUMB_BYTES};

/// Longest side that is decoded, pixels.
const MAX_SIDE: u32 = 16_384;
/// Memory that decoding may take, bytes.
const MAX_ALLOC_BYTES: u64 = 256 * 1024 * 1024;
/// Pixels that are decoded at most: with four bytes each they stay below [`MAX_ALLOC_BYTES`].
const MAX_PIXELS: u64 = 48 * 1024 * 1024;
const JPEG_QUALITY: u8 = 82;

/// Fills in what a picture shows; `side` is the longer side of a thumbnail, pixels.
pub(super) fn look(file: File, media_type: MediaType, side: u32, mut info: MediaInfo) -> MediaInfo {
    match try_look(file, media_type, side, &mut info) {
        Ok(()) => info,
        Err(why) => info.noted(format!("no thumbnail: {why}")),
    }
}

fn try_look(
    file: File,
    media_type: MediaType,
    side: u32,
    info: &mut MediaInfo,
) -> Result<(), String> {
    let format = match media_type {
        MediaType::Jpeg => ImageFormat::Jpeg,
        MediaType::Png => ImageFormat::Png,
        MediaType::Gif => ImageFormat::Gif,
        MediaType::WebP => ImageFormat::WebP,
        other => return Err(format!("{other} is not decoded here")),
    };
    let damaged = |error: image::ImageError| format!("the picture is damaged ({error})");
    let mut reader = ImageReader::with_format(BufReader::new(file), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_ALLOC_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let (width, height) = decoder.dimensions();
    let (shown_width, shown_height) = if is_sideways(orientation) {
        (height, width)
    } else {
        (width, height)
    };
    (info.width, info.height) = (Some(shown_width), Some(shown_height));
    let pixels = u64::from(width) * u64::from(height);
    if width > MAX_SIDE || height > MAX_SIDE || pixels > MAX_PIXELS {
        return Err(format!("{width} × {height} pixels are too many to decode"));
    }
    let mut picture = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    if width > side || height > side {
        picture = picture.thumbnail(side, side);
    }
    picture.apply_orientation(orientation);
    let bytes = encode(picture).map_err(damaged)?;
    if bytes.len() as u64 > THUMB_BYTES {
        return Err(format!("it would take more than {THUMB_BYTES} bytes"));
    }
    info.thumb = Some(bytes.into());
    Ok(())
}

fn is_sideways(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

/// As JPEG; what is transparent becomes white.
fn encode(picture: DynamicImage) -> image::ImageResult<Vec<u8>> {
    let flat = if picture.color().has_alpha() {
        let picture = picture.into_rgba8();
        let mut flat = RgbImage::new(picture.width(), picture.height());
        for (from, to) in picture.pixels().zip(flat.pixels_mut()) {
            let [red, green, blue, alpha] = from.0;
            to.0 = [red, green, blue].map(|color| over_white(color, alpha));
        }
        flat
    } else {
        picture.into_rgb8()
    };
    let mut bytes = Cursor::new(Vec::new());
    JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY).encode_image(&flat)?;
    Ok(bytes.into_inner())
}

fn over_white(color: u8, alpha: u8) -> u8 {
    let (color, alpha) = (u16::from(color), u16::from(alpha));
    u8::try_from((color * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX)
}
