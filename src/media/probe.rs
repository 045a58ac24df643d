//! Audio and video, as far as ffmpeg tells.

use std::fs::File;

use bytes::Bytes;
use serde::Deserialize;

use super::{
    MediaInfo, MediaKind, MediaType, THUMB_BYTES,
    child::{ChildError, INPUT, Program},
};
use crate::config;

/// ffprobe's answer is this long at most, bytes.
const ANSWER_BYTES: u64 = 64 * 1024;
/// A thumbnail is taken this far into a video at most, milliseconds.
const THUMB_AT_MS: u64 = 10_000;
/// Frames with more pixels than this are not decoded.
const MAX_PIXELS: &str = "50000000";
/// Durations beyond this are nonsense: a year, seconds.
const MAX_SECONDS: f64 = 366.0 * 24.0 * 3600.0;

#[derive(Debug, Default, Deserialize)]
struct Answer {
    #[serde(default)]
    streams: Vec<Track>,
    #[serde(default)]
    format: Format,
}

#[derive(Debug, Default, Deserialize)]
struct Format {
    duration: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Track {
    codec_type: String,
    width: Option<u32>,
    height: Option<u32>,
    duration: Option<String>,
    disposition: Disposition,
    side_data_list: Vec<SideData>,
    tags: Tags,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Disposition {
    attached_pic: u8,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SideData {
    rotation: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tags {
    rotate: Option<String>,
}

impl Track {
    fn is_seen(&self) -> bool {
        self.codec_type == "video" && self.disposition.attached_pic == 0
    }

    fn is_cover(&self) -> bool {
        self.codec_type == "video" && self.disposition.attached_pic != 0
    }

    fn shown_size(&self) -> (Option<u32>, Option<u32>) {
        if self.is_sideways() {
            (self.height, self.width)
        } else {
            (self.width, self.height)
        }
    }

    /// Whether it is shown turned by a quarter.
    fn is_sideways(&self) -> bool {
        let by_matrix = self.side_data_list.iter().find_map(|data| data.rotation);
        let by_tag = || self.tags.rotate.as_ref()?.parse().ok();
        let degrees: f64 = by_matrix.or_else(by_tag).unwrap_or(0.0);
        (degrees.abs() % 180.0 - 90.0).abs() < 45.0
    }
}

/// Fills in what ffprobe and ffmpeg tell of an audio or video file.
pub(super) async fn look(
    config: &config::Media,
    file: &File,
    media_type: MediaType,
    mut info: MediaInfo,
) -> MediaInfo {
    let answer = match ask(config, file, media_type).await {
        Ok(answer) => answer,
        Err(error) => {
            let what = match media_type.kind() {
                MediaKind::Audio => "no duration",
                MediaKind::Picture => "no thumbnail",
                MediaKind::Video => "no thumbnail and no duration",
            };
            return info.noted(format!("{what}: {error}"));
        }
    };
    let seen = answer.streams.iter().position(Track::is_seen);
    let media_type = match seen.map(|track| &answer.streams[track]) {
        Some(track) => {
            (info.width, info.height) = track.shown_size();
            media_type
        }
        None => media_type.heard_only(),
    };
    info.media_type = media_type.as_str().to_owned();
    if media_type.kind() != MediaKind::Picture {
        let durations = answer.streams.iter().map(|track| &track.duration);
        info.duration_ms = std::iter::once(&answer.format.duration)
            .chain(durations)
            .find_map(|text| milliseconds(text.as_deref()?));
    }
    let cover = answer.streams.iter().position(Track::is_cover);
    let Some(track) = seen.or(cover) else {
        return info;
    };
    match thumb(config, file, media_type, track, info.duration_ms).await {
        Ok(thumb) => {
            info.thumb = Some(thumb);
            info
        }
        Err(error) => info.noted(format!("no thumbnail: {error}")),
    }
}

fn milliseconds(seconds: &str) -> Option<u64> {
    let seconds: f64 = seconds.parse().ok()?;
    if !(0.0..MAX_SECONDS).contains(&seconds) {
        return None;
    }
    u64::try_from(std::time::Duration::from_secs_f64(seconds).as_millis()).ok()
}

async fn ask(
    config: &config::Media,
    file: &File,
    media_type: MediaType,
) -> Result<Answer, ChildError> {
    let arguments = [
        "-v",
        "error",
        "-protocol_whitelist",
        "file,pipe",
        "-f",
        media_type.demuxer(),
        "-print_format",
        "json",
        "-show_entries",
        "format=duration:stream=codec_type,width,height,duration:stream_disposition=attached_pic\
         :stream_side_data=rotation:stream_tags=rotate",
        INPUT,
    ];
    let answer = Program::new(config.ffprobe.as_deref(), "ffprobe", config.timeout_s)
        .run(&arguments, file, ANSWER_BYTES)
        .await?;
    let answer: Answer = serde_json::from_slice(&answer)
        .map_err(|error| ChildError::Failed("ffprobe".to_owned(), error.to_string()))?;
    if answer.streams.is_empty() {
        let nothing = "the file has nothing to be seen or heard".to_owned();
        return Err(ChildError::Failed("ffprobe".to_owned(), nothing));
    }
    Ok(answer)
}

async fn thumb(
    config: &config::Media,
    file: &File,
    media_type: MediaType,
    track: usize,
    duration_ms: Option<u64>,
) -> Result<Bytes, ChildError> {
    let at_ms = match media_type.kind() {
        MediaKind::Video => (duration_ms.unwrap_or(0) / 10).min(THUMB_AT_MS),
        MediaKind::Picture | MediaKind::Audio => 0,
    };
    let map = format!("0:{track}");
    let side = config.thumb_pixels;
    let scale =
        format!("scale='min({side},iw)':'min({side},ih)':force_original_aspect_ratio=decrease");
    let output = [
        "-map",
        &map,
        "-frames:v",
        "1",
        "-vf",
        &scale,
        "-c:v",
        "mjpeg",
        "-q:v",
        "4",
    ];
    let found = draw(config, file, media_type, at_ms, &output).await;
    // Some files can't be entered in the middle; their beginning will do.
    let bytes = match found {
        Ok(bytes) if !bytes.is_empty() => bytes,
        Ok(_) | Err(ChildError::Failed(..)) if at_ms > 0 => {
            draw(config, file, media_type, 0, &output).await?
        }
        other => other?,
    };
    made(bytes)
}

/// ffmpeg ends well with nothing when there is no frame.
fn made(bytes: Bytes) -> Result<Bytes, ChildError> {
    if super::sniff(&bytes) == Some(MediaType::Jpeg) {
        return Ok(bytes);
    }
    let nothing = "nothing in the file can be shown".to_owned();
    Err(ChildError::Failed("ffmpeg".to_owned(), nothing))
}

async fn draw(
    config: &config::Media,
    file: &File,
    media_type: MediaType,
    at_ms: u64,
    output: &[&str],
) -> Result<Bytes, ChildError> {
    let at = format!("{at_ms}ms");
    let mut arguments = vec![
        "-v",
        "error",
        "-nostdin",
        "-protocol_whitelist",
        "file,pipe",
        "-threads",
        "1",
        "-max_pixels",
        MAX_PIXELS,
        "-f",
        media_type.demuxer(),
        "-ss",
        &at,
        "-i",
        INPUT,
    ];
    arguments.extend_from_slice(output);
    arguments.extend_from_slice(&["-threads", "1", "-f", "image2pipe", "pipe:1"]);
    Program::new(config.ffmpeg.as_deref(), "ffmpeg", config.timeout_s)
        .run(&arguments, file, THUMB_BYTES)
        .await
}
