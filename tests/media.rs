//! Real audio, video and pictures, made once with ffmpeg and espeak-ng.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// What the voice says.
const SPEECH: &str = "This is datt. What you hear was published on one node, and is played from another. \
    The first node may be gone by now, and still nobody had to be asked.";

/// Files to post, most of them under 4 MB.
#[derive(Debug, Clone)]
pub struct Fixtures {
    /// VP9 and Opus in WebM, 20 s, 640 × 360, with an index for seeking.
    pub webm: PathBuf,
    /// The same thirty times over: ten minutes, about 60 MB.
    pub long_webm: PathBuf,
    /// Speech, FLAC.
    pub flac: PathBuf,
    /// H.264 and AAC, with the moov atom at the end.
    pub mp4_moov_last: PathBuf,
    /// H.264 and AAC, to be shown turned by 90 degrees.
    pub mp4_rotated: PathBuf,
    /// A photograph-like picture.
    pub jpeg: PathBuf,
    /// A drawing with transparency.
    pub png: PathBuf,
}

impl Fixtures {
    /// The files in that folder; what isn't there yet is made.
    ///
    /// # Errors
    /// When ffmpeg or espeak-ng is missing or fails.
    pub fn make(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let file = |name: &str| folder.join(name);
        let made = Self {
            webm: file("film.webm"),
            long_webm: file("long-film.webm"),
            flac: file("speech.flac"),
            mp4_moov_last: file("moov-last.mp4"),
            mp4_rotated: file("rotated.mp4"),
            jpeg: file("picture.jpg"),
            png: file("drawing.png"),
        };
        let wav = file("speech.wav");
        once(&wav, |to| {
            run("espeak-ng", &["-v", "en", "-s", "140", "-w", to, SPEECH])
        })?;
        let wav = path_text(&wav)?;
        let picture = [
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=640x360:rate=25:duration=20",
        ];
        let loudly = ["-stream_loop", "-1", "-i", wav];
        once(&made.flac, |to| {
            ffmpeg(&[&["-i", wav], &["-c:a", "flac", to]])
        })?;
        once(&made.webm, |to| {
            let video = [
                "-c:v",
                "libvpx-vp9",
                "-b:v",
                "800k",
                "-g",
                "50",
                "-deadline",
                "realtime",
                "-cpu-used",
                "8",
            ];
            let audio = ["-c:a", "libopus", "-b:a", "64k"];
            ffmpeg(&[
                &picture,
                &loudly,
                &video,
                &audio,
                &["-t", "20", "-cues_to_front", "1", to],
            ])
        })?;
        let film = path_text(&made.webm)?;
        once(&made.long_webm, |to| {
            let again = ["-stream_loop", "29", "-i", film];
            ffmpeg(&[&again, &["-c", "copy", "-cues_to_front", "1", to]])
        })?;
        let h264 = [
            "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-c:a", "aac",
        ];
        once(&made.mp4_moov_last, |to| {
            ffmpeg(&[&picture, &loudly, &h264, &["-t", "8", to]])
        })?;
        once(&made.mp4_rotated, |to| {
            ffmpeg(&[
                &["-i", path_text(&made.mp4_moov_last)?],
                &["-c", "copy", "-movflags", "+faststart", to],
            ])?;
            turn(Path::new(to))
        })?;
        once(&made.jpeg, |to| {
            ffmpeg(&[&[
                "-f",
                "lavfi",
                "-i",
                "mandelbrot=size=1600x1200",
                "-frames:v",
                "1",
                "-q:v",
                "3",
                to,
            ]])
        })?;
        once(&made.png, |to| {
            ffmpeg(&[&[
                "-f",
                "lavfi",
                "-i",
                "color=c=red@0.5:size=320x240,format=rgba",
                "-frames:v",
                "1",
                to,
            ]])
        })?;
        Ok(made)
    }
}

/// Has the first track of an MP4 file shown turned by 90 degrees: ISO 14496-12, 8.3.2, the matrix
/// of the track header. (Options of ffmpeg for this come and go with its versions.)
fn turn(file: &Path) -> Result<()> {
    /// From the box's name to its matrix, in version 0 of the box.
    const MATRIX_OFFSET: usize = 4 + 40;
    let mut bytes = fs::read(file)?;
    let track = bytes
        .windows(4)
        .position(|window| window == b"tkhd")
        .context("no track header")?;
    let (one, minus_one) = (0x0001_0000_u32, 0xffff_0000_u32);
    let matrix = [0, one, 0, minus_one, 0, 0, 360 * one, 0, 0x4000_0000];
    for (value, place) in matrix
        .iter()
        .zip(bytes[track + MATRIX_OFFSET..].chunks_exact_mut(4))
    {
        place.copy_from_slice(&value.to_be_bytes());
    }
    fs::write(file, bytes)?;
    Ok(())
}

/// Makes a file under another name first, so that a run that is cut off leaves nothing half.
fn once(file: &Path, make: impl FnOnce(&str) -> Result<()>) -> Result<()> {
    if file.is_file() {
        return Ok(());
    }
    let name = file.file_name().context("a fixture has a name")?;
    let folder = file.parent().context("a fixture lies in a folder")?;
    let part = folder.join(format!(
        "part-{}-{}",
        std::process::id(),
        name.to_string_lossy()
    ));
    make(path_text(&part)?)?;
    fs::rename(&part, file)?;
    Ok(())
}

fn path_text(path: &Path) -> Result<&str> {
    path.to_str()
        .with_context(|| format!("{} is not UTF-8", path.display()))
}

fn ffmpeg(parts: &[&[&str]]) -> Result<()> {
    let mut args = vec!["-hide_banner", "-loglevel", "error", "-nostdin", "-y"];
    for part in parts {
        args.extend(*part);
    }
    run("ffmpeg", &args)
}

fn run(program: &str, args: &[&str]) -> Result<()> {
    let output = Command::new(program)
        .args(args)
        .output()
        .with_context(|| format!("{program} is missing; `cargo xtask test` installs it"))?;
    if !output.status.success() {
        bail!(
            "{program} failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
